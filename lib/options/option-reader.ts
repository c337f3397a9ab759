import ms from 'ms';

type Given = Readonly<Record<string, unknown>>;

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
    this.faults.push(`'${this.path}${name}' is ${display(given)}; allowed: ${allowed}`);
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

  integer(name: string, fallback: number, min: number, max = Number.MAX_SAFE_INTEGER): number {
    const allowed = max === Number.MAX_SAFE_INTEGER ? `a whole number from ${min}` : `a whole number from ${min} to ${max}`;
    return this.check(
      name,
      fallback,
      allowed,
      (value) => Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max,
    );
  }

  /** A span of time in milliseconds. */
  duration<T extends number | undefined>(name: string, fallback: T, min = 1): number | T {
    const value = this.raw(name);
    if (value === undefined) return fallback;
    const milliseconds = toMilliseconds(value);
    if (milliseconds !== undefined && milliseconds >= min) return milliseconds;
    const bound = min > 0 ? 'a positive number' : 'a number, 0 or more,';
    this.fault(name, value, `${bound} of seconds, or a text as in '500ms', '20m', '14d'`);
    return fallback;
  }

  /** A group of options. */
  group(name: string): OptionReader {
    const value = this.check<Given>(name, {}, 'an object', isObject);
    return new OptionReader(value, this.faults, `${this.path}${name}.`);
  }

  /** Reports options that nobody read: most often a slip of the pen. */
  rejectUnknown(): void {
    for (const name of Object.keys(this.given)) {
      if (!this.known.has(name)) this.fault(name, this.given[name], `no such option; there are ${[...this.known].sort().join(', ')}`);
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

/** A value as it can stand in a message: short, and without what may be secret: the content of objects, passwords in URLs. */
function display(value: unknown): string {
  if (typeof value === 'string') {
    const text = value.replace(/\/\/[^@/]*@/, '//…@');
    return `'${text.length > 60 ? `${text.slice(0, 60)}…` : text}'`;
  }
  if (typeof value === 'function') return `the function ${value.name || '(anonymous)'}`;
  if (Array.isArray(value)) return `an array of ${value.length}`;
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}
