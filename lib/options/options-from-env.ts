import { SessionOptionsError } from '../errors/session.errors.js';
import type { ServerSessionOptions, SessionType } from './session-options.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** Names of the reference that are called otherwise here. */
const TYPE_NAMES: Readonly<Record<string, SessionType>> = { sqlalchemy: 'typeorm' };

/**
 * Options from environment variables with the names of Flask-Session: `SESSION_TYPE=redis`,
 * `SESSION_REDIS=redis://127.0.0.1:6379`, `PERMANENT_SESSION_LIFETIME=3600`, … A variable that is not set, or empty, leaves the
 * default.
 *
 * @throws SessionOptionsError for a boolean or a number that is none; all else is checked when the module is made.
 */
export function sessionOptionsFromEnv(env: Environment): ServerSessionOptions {
  const read = new EnvironmentReader(env);
  const secret = read.list('SESSION_SECRET') ?? read.list('SECRET_KEY');
  const mongodbUri = read.text('SESSION_MONGODB');
  const options = {
    type: read.text('SESSION_TYPE', (type) => TYPE_NAMES[type] ?? (type as SessionType)),
    permanent: read.boolean('SESSION_PERMANENT'),
    lifetime: read.text('PERMANENT_SESSION_LIFETIME'),
    absoluteLifetime: read.text('SESSION_ABSOLUTE_LIFETIME'),
    useSigner: read.boolean('SESSION_USE_SIGNER'),
    secret,
    keyPrefix: read.text('SESSION_KEY_PREFIX'),
    cookie: group({
      name: read.text('SESSION_COOKIE_NAME'),
      domain: read.text('SESSION_COOKIE_DOMAIN'),
      path: read.text('SESSION_COOKIE_PATH'),
      httpOnly: read.boolean('SESSION_COOKIE_HTTPONLY'),
      secure: env['SESSION_COOKIE_SECURE'] === 'auto' ? ('auto' as const) : read.boolean('SESSION_COOKIE_SECURE'),
      sameSite: read.text('SESSION_COOKIE_SAMESITE', (value) => value.toLowerCase() as 'lax'),
      partitioned: read.boolean('SESSION_COOKIE_PARTITIONED'),
    }),
    redis: group({ url: read.text('SESSION_REDIS') }),
    memcached: group({ servers: read.list('SESSION_MEMCACHED') }),
    filesystem: group({
      dir: read.text('SESSION_FILE_DIR'),
      threshold: read.integer('SESSION_FILE_THRESHOLD'),
      mode: read.integer('SESSION_FILE_MODE', 8),
    }),
    mongodb: group({
      uri: mongodbUri,
      db: read.text('SESSION_MONGODB_DB'),
      collection: read.text('SESSION_MONGODB_COLLECT'),
    }),
    typeorm: group({
      url: read.text('SESSION_SQLALCHEMY'),
      table: read.text('SESSION_SQLALCHEMY_TABLE'),
    }),
    serializer: read.text('SESSION_SERIALIZATION_FORMAT', (value) => value as 'json'),
    idBytes: read.integer('SESSION_ID_LENGTH'),
  };
  read.throwFaults();
  return (group(options) ?? {}) as ServerSessionOptions;
}

class EnvironmentReader {
  private readonly faults: string[] = [];

  constructor(private readonly env: Environment) {}

  text(name: string): string | undefined;
  text<T>(name: string, convert: (value: string) => T): T | undefined;
  text(name: string, convert: (value: string) => unknown = (value) => value): unknown {
    const value = this.env[name]?.trim();
    return value ? convert(value) : undefined;
  }

  list(name: string): string[] | undefined {
    return this.text(name, (value) => value.split(/[\s,]+/).filter(Boolean));
  }

  boolean(name: string): boolean | undefined {
    return this.text(name, (value) => {
      if (/^(true|1|yes|on)$/i.test(value)) return true;
      if (/^(false|0|no|off)$/i.test(value)) return false;
      this.faults.push(`'${name}' is '${value}'; allowed: true, false, 1, 0, yes, no, on, off`);
      return undefined;
    });
  }

  integer(name: string, radix = 10): number | undefined {
    return this.text(name, (value) => {
      const digits = radix === 8 ? /^(0o?)?[0-7]+$/i : /^\d+$/;
      if (digits.test(value)) return Number.parseInt(value.replace(/^0o/i, ''), radix);
      this.faults.push(`'${name}' is '${value}'; allowed: a whole number${radix === 8 ? ' in octal, as in 0600' : ''}`);
      return undefined;
    });
  }

  throwFaults(): void {
    if (this.faults.length > 0) throw new SessionOptionsError(this.faults);
  }
}

/** The members that are set; undefined where none is. */
function group<T extends object>(members: T): Partial<T> | undefined {
  const set = Object.entries(members).filter(([, value]) => value !== undefined);
  return set.length === 0 ? undefined : (Object.fromEntries(set) as Partial<T>);
}
