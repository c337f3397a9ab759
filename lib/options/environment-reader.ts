import { display } from '../common/redact.js';

/** Reads environment variables and collects what is wrong with them. A variable that is empty counts as not set. */
export class EnvironmentReader {
  constructor(
    private readonly env: Readonly<Record<string, string | undefined>>,
    private readonly faults: string[],
  ) {}

  string(name: string): string | undefined;
  string<T>(name: string, convert: (value: string) => T): T | undefined;
  string(name: string, convert: (value: string) => unknown = (value) => value): unknown {
    const value = this.env[name]?.trim();
    return value ? convert(value) : undefined;
  }

  /** A list divided by commas or spaces. */
  list(name: string): string[] | undefined {
    return this.string(name, (value) => value.split(/[\s,]+/).filter(Boolean));
  }

  /** A string as it stands, or a JSON list of strings. For secrets, so the value is never shown. */
  stringOrList(name: string): string | string[] | undefined {
    return this.string(name, (value) => {
      if (!value.startsWith('[')) return value;
      const list = parseStrings(value);
      if (list === undefined)
        this.faults.push(`'${name}' begins with [ but is not a list; allowed: a string, or a list as in ["new", "old"]`);
      return list;
    });
  }

  boolean(name: string): boolean | undefined {
    return this.string(name, (value) => {
      if (/^(true|1|yes|on)$/i.test(value)) return true;
      if (/^(false|0|no|off)$/i.test(value)) return false;
      this.faults.push(`'${name}' is ${display(value)}; allowed: true, false, 1, 0, yes, no, on, off`);
      return undefined;
    });
  }

  integer(name: string, radix: 8 | 10 = 10): number | undefined {
    return this.string(name, (value) => {
      const digits = radix === 8 ? /^(0o?)?[0-7]+$/i : /^\d+$/;
      if (digits.test(value)) return Number.parseInt(value.replace(/^0o/i, ''), radix);
      this.faults.push(`'${name}' is ${display(value)}; allowed: a whole number${radix === 8 ? ' in octal, as in 0600' : ''}`);
      return undefined;
    });
  }
}

function parseStrings(json: string): string[] | undefined {
  try {
    const list: unknown = JSON.parse(json);
    return Array.isArray(list) && list.every((item) => typeof item === 'string') ? list : undefined;
  } catch {
    return undefined;
  }
}
