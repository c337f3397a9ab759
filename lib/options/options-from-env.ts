import { SessionOptionsError } from '../errors.js';
import { EnvironmentReader } from './environment-reader.js';
import { toMilliseconds } from './option-reader.js';
import { DEFAULT_LIFETIME } from './resolve-options.js';
import type { ServerSessionOptions, SessionType } from './session-options.js';

/** Names of the reference that are called otherwise here. */
const TYPE_NAMES: Readonly<Record<string, string>> = { sqlalchemy: 'typeorm', none: 'null' };

/**
 * Options from environment variables with the names of Flask and Flask-Session: `SESSION_TYPE=redis`,
 * `SESSION_REDIS=redis://127.0.0.1:6379`, `PERMANENT_SESSION_LIFETIME=3600`, … A variable that is not set, or empty, leaves the
 * default. The README has the list. What is not spelled as in Flask, or means something a little different:
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
  const read = new EnvironmentReader(env, faults);
  const options = {
    type: read.text('SESSION_TYPE', toType),
    permanent: read.boolean('SESSION_PERMANENT'),
    lifetime: read.text('PERMANENT_SESSION_LIFETIME'),
    absoluteLifetime: read.text('SESSION_ABSOLUTE_LIFETIME'),
    useSigner: read.boolean('SESSION_USE_SIGNER'),
    secret: secrets(read),
    keyPrefix: read.text('SESSION_KEY_PREFIX'),
    cookie: cookie(read),
    ...backEnds(read),
    touchInterval: touchInterval(read),
    serializer: read.text('SESSION_SERIALIZATION_FORMAT', lowerCase),
    idBytes: read.integer('SESSION_ID_LENGTH'),
    purge: read.integer('SESSION_CLEANUP_N_REQUESTS') === 0 ? false : undefined,
  };
  if (faults.length > 0) throw new SessionOptionsError(faults);
  // What the texts say is checked with the types of the options when the module is made.
  return (group(options) ?? {}) as ServerSessionOptions;
}

function toType(text: string): SessionType {
  const name = text.toLowerCase();
  return (TYPE_NAMES[name] ?? name) as SessionType;
}

function secrets(read: EnvironmentReader): string | string[] | undefined {
  const current = read.textOrList('SECRET_KEY') ?? read.textOrList('SESSION_SECRET');
  const former = read.textOrList('SECRET_KEY_FALLBACKS');
  return current === undefined || former === undefined ? current : [current, former].flat();
}

function cookie(read: EnvironmentReader): object | undefined {
  return group({
    name: read.text('SESSION_COOKIE_NAME'),
    domain: read.text('SESSION_COOKIE_DOMAIN'),
    path: read.text('SESSION_COOKIE_PATH'),
    httpOnly: read.boolean('SESSION_COOKIE_HTTPONLY'),
    secure: read.text('SESSION_COOKIE_SECURE', lowerCase) === 'auto' ? 'auto' : read.boolean('SESSION_COOKIE_SECURE'),
    sameSite: read.text('SESSION_COOKIE_SAMESITE', lowerCase),
    partitioned: read.boolean('SESSION_COOKIE_PARTITIONED'),
  });
}

function backEnds(read: EnvironmentReader): Record<string, object | undefined> {
  return {
    redis: group({ url: read.text('SESSION_REDIS') }),
    memcached: group({ servers: read.list('SESSION_MEMCACHED') }),
    filesystem: group({
      dir: read.text('SESSION_FILE_DIR'),
      threshold: read.integer('SESSION_FILE_THRESHOLD'),
      mode: read.integer('SESSION_FILE_MODE', 8),
    }),
    mongodb: group({
      uri: read.text('SESSION_MONGODB'),
      db: read.text('SESSION_MONGODB_DB'),
      collection: read.text('SESSION_MONGODB_COLLECT'),
    }),
    typeorm: group({
      url: read.text('SESSION_SQLALCHEMY', withoutDriver) ?? read.text('SQLALCHEMY_DATABASE_URI', withoutDriver),
      table: read.text('SESSION_SQLALCHEMY_TABLE'),
    }),
  };
}

function touchInterval(read: EnvironmentReader): string | number | undefined {
  const each = read.boolean('SESSION_REFRESH_EACH_REQUEST');
  if (each !== false) return each ? 0 : undefined;
  const lifetime = toMilliseconds(read.text('PERMANENT_SESSION_LIFETIME')) ?? DEFAULT_LIFETIME;
  // The longest that the options allow.
  return `${Math.max(0, lifetime - 1)}ms`;
}

function lowerCase(text: string): string {
  return text.toLowerCase();
}

/** SQLAlchemy writes the driver of Python into the scheme, as in `postgresql+psycopg2://`. */
function withoutDriver(url: string): string {
  return url.replace(/^(\w+)\+\w+:/, '$1:');
}

/** The members that are set; undefined where none is. */
function group(members: Readonly<Record<string, unknown>>): object | undefined {
  const set = Object.entries(members).filter(([, value]) => value !== undefined);
  return set.length === 0 ? undefined : Object.fromEntries(set);
}
