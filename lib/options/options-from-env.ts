import { display } from '../common/redact.js';
import { SessionOptionsError } from '../errors.js';
import { noteVariable, toMilliseconds } from '../common/option-reader.js';
import { DEFAULT_LIFETIME } from './resolve-options.js';
import type { ServerSessionOptions } from './session-options.js';

type Read = (read: EnvironmentReader, variable: string) => unknown;

const string: Read = (read, variable) => read.string(variable);
const lowerCase: Read = (read, variable) => read.string(variable, (value) => value.toLowerCase());
const boolean: Read = (read, variable) => read.boolean(variable);
const integer: Read = (read, variable) => read.integer(variable);
const list: Read = (read, variable) => read.list(variable);
/** SQLAlchemy writes the driver of Python into the scheme, as in `postgresql+psycopg2://`. */
const urlOfSqlalchemy: Read = (read, variable) => read.string(variable, (url) => url.replace(/^(\w+)\+\w+:/, '$1:'));

/** Every option that can come from the environment, and its variables: the first one that is set counts. */
export const VARIABLES: readonly (readonly [option: string, variables: readonly string[], read: Read])[] = [
  ['type', ['SESSION_TYPE'], (read, variable) => read.string(variable, toType)],
  ['permanent', ['SESSION_PERMANENT'], boolean],
  ['lifetime', ['PERMANENT_SESSION_LIFETIME'], string],
  ['absoluteLifetime', ['SESSION_ABSOLUTE_LIFETIME'], string],
  ['useSigner', ['SESSION_USE_SIGNER'], boolean],
  ['secret', ['SECRET_KEY', 'SESSION_SECRET'], secrets],
  ['keyPrefix', ['SESSION_KEY_PREFIX'], string],
  ['cookie.name', ['SESSION_COOKIE_NAME'], string],
  ['cookie.domain', ['SESSION_COOKIE_DOMAIN'], string],
  ['cookie.path', ['SESSION_COOKIE_PATH'], string],
  ['cookie.httpOnly', ['SESSION_COOKIE_HTTPONLY'], boolean],
  ['cookie.secure', ['SESSION_COOKIE_SECURE'], booleanOrAuto],
  ['cookie.sameSite', ['SESSION_COOKIE_SAMESITE'], lowerCase],
  ['cookie.partitioned', ['SESSION_COOKIE_PARTITIONED'], boolean],
  ['redis.url', ['SESSION_REDIS'], string],
  ['memcached.servers', ['SESSION_MEMCACHED'], list],
  ['filesystem.dir', ['SESSION_FILE_DIR'], string],
  ['filesystem.threshold', ['SESSION_FILE_THRESHOLD'], integer],
  ['filesystem.mode', ['SESSION_FILE_MODE'], (read, variable) => read.integer(variable, 8)],
  ['mongodb.uri', ['SESSION_MONGODB'], string],
  ['mongodb.db', ['SESSION_MONGODB_DB'], string],
  ['mongodb.collection', ['SESSION_MONGODB_COLLECT'], string],
  ['typeorm.url', ['SESSION_SQLALCHEMY', 'SQLALCHEMY_DATABASE_URI'], urlOfSqlalchemy],
  ['typeorm.table', ['SESSION_SQLALCHEMY_TABLE'], string],
  ['touchInterval', ['SESSION_REFRESH_EACH_REQUEST'], touchInterval],
  ['serializer', ['SESSION_SERIALIZATION_FORMAT'], lowerCase],
  ['idBytes', ['SESSION_ID_LENGTH'], integer],
  ['purge', ['SESSION_CLEANUP_N_REQUESTS'], (read, variable) => (read.integer(variable) === 0 ? false : undefined)],
];

/** Names of the reference that are called otherwise here. */
const TYPE_NAMES: Readonly<Record<string, string>> = { sqlalchemy: 'typeorm', none: 'null' };

/**
 * Options from environment variables with the names of Flask and Flask-Session: `SESSION_TYPE=redis`,
 * `SESSION_REDIS=redis://127.0.0.1:6379`, `PERMANENT_SESSION_LIFETIME=3600`, … A variable that is not set, or empty, leaves the
 * default. docs/options.md has the list. What is not spelled as in Flask, or means something a little different:
 *
 * - `SESSION_REDIS`, `SESSION_MONGODB` and `SESSION_SQLALCHEMY` (or `SQLALCHEMY_DATABASE_URI`) are URLs, `SESSION_MEMCACHED` is a
 *   list of `host:port`, divided by commas or spaces.
 * - `SECRET_KEY` (or `SESSION_SECRET`) is one secret as it stands, or a JSON list: the first signs, all verify. So is
 *   `SECRET_KEY_FALLBACKS`: secrets that only verify.
 * - `SESSION_FILE_MODE` is octal: `0600`, `600` and `0o600` are the same.
 * - `SESSION_ID_LENGTH` counts random bytes, as in Flask-Session: `idBytes`, 16 to 64.
 * - `SESSION_REFRESH_EACH_REQUEST`: true extends the session on every request (`touchInterval: 0`); false as rarely as can be,
 *   so in effect when it changes. Unset: at most once per `touchInterval`.
 * - `SESSION_CLEANUP_N_REQUESTS`: expired sessions are purged by time here, not by requests. `0` turns the purge off, any other
 *   number leaves `purge` as it is.
 *
 * @throws SessionOptionsError for a boolean, a number or a list that is none; all else is checked when the module is made.
 */
export function sessionOptionsFromEnv(env: Readonly<Record<string, string | undefined>>): ServerSessionOptions {
  const faults: string[] = [];
  const reader = new EnvironmentReader(env, faults);
  const options: Record<string, unknown> = {};
  for (const [option, variables, read] of VARIABLES) {
    for (const variable of variables) {
      const value = read(reader, variable);
      if (value === undefined) continue;
      put(options, option, value);
      // What the strings say is checked with the types of the options when the module is made; a fault names the variable then.
      noteVariable(option, variable, value);
      break;
    }
  }
  if (faults.length > 0) throw new SessionOptionsError(faults);
  return options;
}

/** Sets an option by its path, as in `cookie.name`. */
function put(options: Record<string, unknown>, option: string, value: unknown): void {
  const [first = '', second] = option.split('.');
  if (second === undefined) options[first] = value;
  else options[first] = { ...(options[first] as object | undefined), [second]: value };
}

function toType(text: string): string {
  const name = text.toLowerCase();
  return TYPE_NAMES[name] ?? name;
}

function secrets(read: EnvironmentReader, variable: string): string | string[] | undefined {
  const current = read.stringOrList(variable);
  const former = current === undefined ? undefined : read.stringOrList('SECRET_KEY_FALLBACKS');
  return current === undefined || former === undefined ? current : [current, former].flat();
}

function booleanOrAuto(read: EnvironmentReader, variable: string): boolean | 'auto' | undefined {
  return read.string(variable)?.toLowerCase() === 'auto' ? 'auto' : read.boolean(variable);
}

function touchInterval(read: EnvironmentReader, variable: string): string | number | undefined {
  const each = read.boolean(variable);
  if (each !== false) return each ? 0 : undefined;
  const lifetime = toMilliseconds(read.string('PERMANENT_SESSION_LIFETIME')) ?? DEFAULT_LIFETIME;
  // The longest that the options allow.
  return `${Math.max(0, lifetime - 1)}ms`;
}

/** Reads environment variables and collects what is wrong with them. A variable that is empty counts as not set. */
class EnvironmentReader {
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
      const strings = parseStrings(value);
      if (strings === undefined)
        this.faults.push(`'${name}' begins with [ but is not a list; allowed: a string, or a list as in ["new", "old"]`);
      return strings;
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
    const parsed: unknown = JSON.parse(json);
    return Array.isArray(parsed) && parsed.every((item) => typeof item === 'string') ? parsed : undefined;
  } catch {
    return undefined;
  }
}
