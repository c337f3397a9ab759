import { describe, expect, it } from '@jest/globals';
import { type ServerSessionOptions, SessionOptionsError, sessionOptionsFromEnv } from 'nestjs-server-session';
import { resolveOptions } from '../../../lib/options/resolve-options.js';

describe('Options from the environment', () => {
  it('are none where nothing is set, or only empty', () => {
    expect(sessionOptionsFromEnv({})).toEqual({});
    expect(sessionOptionsFromEnv({ SESSION_TYPE: '', SESSION_COOKIE_NAME: '  ', PATH: '/bin' })).toEqual({});
  });

  it.each<[Record<string, string>, ServerSessionOptions]>([
    [{ SESSION_TYPE: 'redis' }, { type: 'redis' }],
    [{ SESSION_TYPE: 'Memcached' }, { type: 'memcached' }],
    [{ SESSION_TYPE: 'sqlalchemy' }, { type: 'typeorm' }],
    [{ SESSION_TYPE: 'None' }, { type: 'null' }],
    [{ SESSION_PERMANENT: 'False' }, { permanent: false }],
    [{ SESSION_PERMANENT: '1' }, { permanent: true }],
    [{ PERMANENT_SESSION_LIFETIME: '3600' }, { lifetime: '3600' }],
    [{ PERMANENT_SESSION_LIFETIME: '20m' }, { lifetime: '20m' }],
    [{ SESSION_ABSOLUTE_LIFETIME: '90d' }, { absoluteLifetime: '90d' }],
    [
      { SESSION_USE_SIGNER: 'True', SECRET_KEY: 'a, b c' },
      { useSigner: true, secret: 'a, b c' },
    ],
    [
      { SESSION_USE_SIGNER: 'yes', SESSION_SECRET: '["new","old"]' },
      { useSigner: true, secret: ['new', 'old'] },
    ],
    [{ SECRET_KEY: 'new', SECRET_KEY_FALLBACKS: '["old","older"]' }, { secret: ['new', 'old', 'older'] }],
    [{ SECRET_KEY_FALLBACKS: 'old' }, {}],
    [{ SESSION_KEY_PREFIX: 'shop:' }, { keyPrefix: 'shop:' }],
    [{ SESSION_COOKIE_NAME: 'sid' }, { cookie: { name: 'sid' } }],
    [{ SESSION_COOKIE_DOMAIN: 'example.com', SESSION_COOKIE_PATH: '/app' }, { cookie: { domain: 'example.com', path: '/app' } }],
    [{ SESSION_COOKIE_HTTPONLY: 'off' }, { cookie: { httpOnly: false } }],
    [{ SESSION_COOKIE_SECURE: 'TRUE' }, { cookie: { secure: true } }],
    [{ SESSION_COOKIE_SECURE: 'Auto' }, { cookie: { secure: 'auto' } }],
    [{ SESSION_COOKIE_SAMESITE: 'Strict', SESSION_COOKIE_PARTITIONED: 'no' }, { cookie: { sameSite: 'strict', partitioned: false } }],
    [{ SESSION_REDIS: ' redis://127.0.0.1:6379/1 ' }, { redis: { url: 'redis://127.0.0.1:6379/1' } }],
    [{ SESSION_MEMCACHED: '10.0.0.1:11211, 10.0.0.2:11211' }, { memcached: { servers: ['10.0.0.1:11211', '10.0.0.2:11211'] } }],
    [{ SESSION_FILE_DIR: '/var/sessions', SESSION_FILE_THRESHOLD: '0' }, { filesystem: { dir: '/var/sessions', threshold: 0 } }],
    [{ SESSION_FILE_MODE: '0600' }, { filesystem: { mode: 0o600 } }],
    [{ SESSION_FILE_MODE: '0o660' }, { filesystem: { mode: 0o660 } }],
    [{ SESSION_FILE_MODE: '640' }, { filesystem: { mode: 0o640 } }],
    [
      { SESSION_MONGODB: 'mongodb://db:27017', SESSION_MONGODB_DB: 'app', SESSION_MONGODB_COLLECT: 'visits' },
      { mongodb: { uri: 'mongodb://db:27017', db: 'app', collection: 'visits' } },
    ],
    [{ SESSION_MONGODB_DB: 'app' }, { mongodb: { db: 'app' } }],
    [
      { SESSION_SQLALCHEMY: 'postgres://u:p@db/app', SESSION_SQLALCHEMY_TABLE: 'visits' },
      { typeorm: { url: 'postgres://u:p@db/app', table: 'visits' } },
    ],
    [{ SQLALCHEMY_DATABASE_URI: 'postgresql+psycopg2://u:p@db/app' }, { typeorm: { url: 'postgresql://u:p@db/app' } }],
    [{ SESSION_SQLALCHEMY_TABLE: 'visits' }, { typeorm: { table: 'visits' } }],
    [{ SESSION_SERIALIZATION_FORMAT: 'MsgPack' }, { serializer: 'msgpack' }],
    [{ SESSION_ID_LENGTH: '24' }, { idBytes: 24 }],
    [{ SESSION_CLEANUP_N_REQUESTS: '0' }, { purge: false }],
    [{ SESSION_CLEANUP_N_REQUESTS: '100' }, {}],
    [{ SESSION_REFRESH_EACH_REQUEST: 'True' }, { touchInterval: 0 }],
    [{ SESSION_REFRESH_EACH_REQUEST: 'False' }, { touchInterval: `${31 * 86_400_000 - 1}ms` }],
    [
      { SESSION_REFRESH_EACH_REQUEST: '0', PERMANENT_SESSION_LIFETIME: '60' },
      { lifetime: '60', touchInterval: '59999ms' },
    ],
  ])('%j', (env, options) => {
    expect(sessionOptionsFromEnv(env)).toEqual(options);
    expect(() => resolveOptions(sessionOptionsFromEnv(env))).not.toThrow();
  });

  it('are refused all at once where they are no booleans, numbers or lists', () => {
    const env = {
      SESSION_PERMANENT: 'perhaps',
      SESSION_COOKIE_SECURE: 'maybe',
      SESSION_FILE_THRESHOLD: 'many',
      SESSION_FILE_MODE: '0689',
      SECRET_KEY: '["hunter2"',
    };
    expect(() => sessionOptionsFromEnv(env)).toThrow(SessionOptionsError);
    expect(() => sessionOptionsFromEnv(env)).toThrow(/^(?!.*hunter2)/s);
    for (const name of Object.keys(env)) expect(() => sessionOptionsFromEnv(env)).toThrow(`'${name}'`);
    expect(() => sessionOptionsFromEnv(env)).toThrow(/'SESSION_FILE_MODE' is '0689'; allowed: a whole number in octal, as in 0600/);
  });

  it.each<[string, string, string]>([
    ['SESSION_TYPE', 'dynamodb', 'type'],
    ['PERMANENT_SESSION_LIFETIME', 'long', 'lifetime'],
    ['SESSION_ID_LENGTH', '8', 'idBytes'],
    ['SESSION_SERIALIZATION_FORMAT', 'pickle', 'serializer'],
    ['SESSION_COOKIE_SAMESITE', 'none', 'cookie.secure'],
    ['SESSION_COOKIE_PATH', 'app', 'cookie.path'],
    ['SESSION_KEY_PREFIX', 'a b', 'keyPrefix'],
  ])('are refused with the name of the variable where only its value is wrong: %s', (variable, value, option) => {
    // As Nest and applications copy options.
    const options = structuredClone({ ...sessionOptionsFromEnv({ [variable]: value }) });
    const fault =
      option === 'cookie.secure'
        ? `'cookie.secure' is 'auto'`
        : `'${variable}' (option '${option}') is ${variable === 'SESSION_ID_LENGTH' ? 8 : `'${value}'`}; `;
    expect(() => resolveOptions(options)).toThrow(fault);
  });

  it('are called by the name of the option where the application has set another value since', () => {
    const options = sessionOptionsFromEnv({ PERMANENT_SESSION_LIFETIME: 'long' });
    expect(() => resolveOptions({ ...options, lifetime: 'longer' })).toThrow(/ - 'lifetime' is 'longer'/);
  });

  it('never show a secret where it stands in the wrong variable', () => {
    const env = { SESSION_PERMANENT: 'redis://:hunter2@localhost', SESSION_ID_LENGTH: 'user:hunter2@db' };
    expect(() => sessionOptionsFromEnv(env)).toThrow(/^(?!.*hunter2)/s);
    expect(() => resolveOptions(sessionOptionsFromEnv({ SESSION_TYPE: 'redis:hunter2@db' }))).toThrow(/^(?!.*hunter2)/s);
  });
});
