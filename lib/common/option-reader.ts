import ms from 'ms';
import { display, kindOf } from './redact.js';

type Given = Readonly<Record<string, unknown>>;

/** Longer spans are a slip of the pen, and past what a `Date` holds. */
export const MAX_DURATION = 100 * 365.25 * 24 * 60 * 60 * 1000;

/** What Node's timers can wait: with more they fire at once, again and again. */
export const MAX_TIMER = 2 ** 31 - 1;

/**
 * From which environment variable an option was read last, and its value. Not kept on the options, for Nest and applications copy them
 * property by property.
 */
const variables = new Map<string, { readonly variable: string; readonly value: unknown }>();

/** Lets a fault of the option name the variable that it comes from, as long as the option has this value. */
export function noteVariable(option: string, variable: string, value: unknown): void {
  variables.set(option, { variable, value });
}

/**
 * Reads options one by one and collects what is wrong with them, so that all faults are reported at once. A faulty option
 * reads as its default, to let the reading go on.
 */
export class OptionReader {
  private readonly known = new Set<string>();

  /** @param path what stands before the names in messages, as in `cookie.`. */
  constructor(
    private readonly given: Given,
    private readonly faults: string[],
    private readonly path = '',
  ) {}

  /** Reports that an option is wrong. */
  fault(name: string, given: unknown, allowed: string): void {
    this.report(name, display(given), allowed);
  }

  /** Reports that an option is wrong whose value may be a secret: only what kind of value it is gets into the message. */
  secretFault(name: string, given: unknown, allowed: string): void {
    this.report(name, kindOf(given), allowed);
  }

  private report(name: string, given: string, allowed: string): void {
    const option = this.path + name;
    const origin = variables.get(option);
    const isFromEnv = origin !== undefined && origin.value === this.given[name];
    this.faults.push(`${isFromEnv ? `'${origin.variable}' (option '${option}')` : `'${option}'`} is ${given}; allowed: ${allowed}`);
  }

  raw(name: string): unknown {
    this.known.add(name);
    return this.given[name];
  }

  check<T>(name: string, fallback: T, allowed: string, accepts: (value: unknown) => boolean): T {
    const value = this.raw(name);
    if (value === undefined) return fallback;
    if (accepts(value)) return value as T;
    this.fault(name, value, allowed);
    return fallback;
  }

  boolean(name: string, fallback: boolean): boolean {
    return this.check(name, fallback, 'true or false', (value) => typeof value === 'boolean');
  }

  oneOf<const T>(name: string, allowed: readonly T[], fallback: NoInfer<T>): T {
    return this.check(name, fallback, allowed.map(display).join(', '), (value) => allowed.includes(value as T));
  }

  integer<T extends number | undefined>(name: string, fallback: T, min: number, max = Number.MAX_SAFE_INTEGER): number | T {
    const allowed = max === Number.MAX_SAFE_INTEGER ? `a whole number from ${min}` : `a whole number from ${min} to ${max}`;
    const accepts = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max;
    return this.check<number | T>(name, fallback, allowed, accepts);
  }

  /** A span of time in milliseconds. */
  duration<T extends number | undefined>(name: string, fallback: T, min = 1, max = MAX_DURATION): number | T {
    const value = this.raw(name);
    if (value === undefined) return fallback;
    const milliseconds = toMilliseconds(value);
    if (milliseconds !== undefined && milliseconds >= min && milliseconds <= max) return milliseconds;
    const lower = min > 0 ? 'a positive number' : 'a number, 0 or more,';
    const upper = max === MAX_TIMER ? '24 days' : '100 years';
    this.fault(name, value, `${lower} of seconds, or a string as in '500ms', '20m', '14d'; at most ${upper}`);
    return fallback;
  }

  /** A group of options. What stands in its place may be a secret, as in `encryption: 'key'`. */
  group(name: string): OptionReader {
    const value = this.raw(name);
    const isGroup = value === undefined || isObject(value);
    if (!isGroup) this.secretFault(name, value, 'an object');
    return new OptionReader(isGroup ? { ...(value as Given | undefined) } : {}, this.faults, `${this.path}${name}.`);
  }

  /** Reports options that were not read: most often a slip of the pen, so the value may be any, a secret too. */
  rejectUnknown(): void {
    for (const name of Object.keys(this.given)) {
      if (!this.known.has(name) && this.given[name] !== undefined) {
        this.faults.push(`'${this.path}${name}' is not an option; allowed: ${[...this.known].sort().join(', ')}`);
      }
    }
  }
}

export function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** @returns undefined for what is no span of time. */
export function toMilliseconds(value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isFinite(value) && value >= 0 ? Math.round(value * 1000) : undefined;
  if (typeof value !== 'string' || value === '' || value.length > 100) return undefined;
  if (/^\d+(\.\d+)?$/.test(value)) return Math.round(Number(value) * 1000);
  const milliseconds = ms(value as ms.StringValue) as number | undefined;
  return milliseconds !== undefined && Number.isFinite(milliseconds) && milliseconds >= 0 ? Math.round(milliseconds) : undefined;
}
