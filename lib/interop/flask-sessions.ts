import { OptionReader } from '../common/option-reader.js';
import { backEnd as memcachedBackEnd } from '../repositories/memcached/memcached.options.js';
import { backEnd as redisBackEnd, type RedisSessionOptions } from '../repositories/redis/redis.options.js';
import type { FlashMessage } from '../session/session-data.js';
import { decodeFlaskRecord } from './flask-record.js';
import { FlaskFileRecords, FlaskMemcachedRecords, type FlaskRecords, FlaskRedisRecords } from './flask-records.js';
import { type FormerId, type FormerSession, FormerSessions, principalOf } from './former-sessions.js';
import { ItsdangerousSigner } from './itsdangerous.signer.js';

/** How the Flask application that is being replaced had set up Flask-Session. One of `redis`, `filesystem`, `memcached`, `records`. */
export interface FlaskSessionsOptions<D extends object = Record<string, unknown>> {
  /**
   * `SESSION_COOKIE_NAME`.
   * @default 'session'
   */
  name?: string;
  /** `SESSION_USE_SIGNER`. @default false */
  useSigner?: boolean;
  /** `SECRET_KEY`, and `SECRET_KEY_FALLBACKS` behind it. Needed with `useSigner`. */
  secret?: string | readonly string[];
  /** `SESSION_TYPE = 'redis'`: the same as the option `redis` takes, as in `{ url: 'redis://127.0.0.1:6379' }`. */
  redis?: RedisSessionOptions;
  /** `SESSION_TYPE = 'filesystem'`: its `SESSION_FILE_DIR`. */
  filesystem?: { dir: string };
  /** `SESSION_TYPE = 'memcached'`: addresses as in `'10.0.0.1:11211'`. */
  memcached?: { servers?: string | readonly string[] };
  /** Any other store: what reads and deletes a record by its key. */
  records?: FlaskRecords;
  /**
   * `SESSION_KEY_PREFIX`.
   * @default 'session:'
   */
  keyPrefix?: string;
  /**
   * Whom a session belongs to. With Flask-Login: `(data: { _user_id?: string }) => data._user_id`.
   * @default no principal
   */
  principal?: ((data: D) => string | undefined) | undefined;
  /** `SESSION_COOKIE_PATH`. @default '/' */
  cookiePath?: string;
  /** `SESSION_COOKIE_DOMAIN`. @default the host itself */
  cookieDomain?: string;
  /**
   * Whether the former record and cookie stay, so that both applications can run side by side for a while, each with its own session.
   * The two cookies need different names then.
   * @default false
   */
  keep?: boolean;
}

/** Ids of Flask-Session are UUIDs, or base64url from version 0.7 on. It takes over others that a client made up; they end here. */
const ID = /^[\w-]{16,128}$/;

/**
 * Sessions of Flask-Session go on here: for the option `adopt`.
 *
 * ```ts
 * adopt: [flaskSessions({ redis: { url: 'redis://127.0.0.1:6379' }, useSigner: true, secret: process.env.SECRET_KEY! })]
 * ```
 */
export function flaskSessions<D extends object = Record<string, unknown>>(options: FlaskSessionsOptions<D>): FormerSessions {
  return new FormerFlaskSessions(options as FlaskSessionsOptions<object>);
}

class FormerFlaskSessions extends FormerSessions {
  override readonly cookieName: string;
  override readonly keep: boolean;
  private readonly keyPrefix: string;
  private readonly signer: ItsdangerousSigner | undefined;
  private records: FlaskRecords | undefined;

  constructor(private readonly options: FlaskSessionsOptions<object>) {
    super();
    const { name = 'session', keep = false, keyPrefix = 'session:', useSigner = false } = options;
    this.cookieName = name;
    this.keep = keep;
    this.keyPrefix = keyPrefix;
    this.signer = useSigner ? new ItsdangerousSigner(secretsOf(options.secret)) : undefined;
  }

  override faults(): string[] {
    const faults: string[] = [];
    const read = new OptionReader({ ...this.options }, faults);
    const secret = read.raw('secret');
    const useSigner = read.boolean('useSigner', false);
    if ((useSigner || secret !== undefined) && secretsOf(secret).length === 0) {
      read.secretFault(
        'secret',
        secret,
        `a string that is not empty, or a list of such${useSigner ? ", because 'useSigner' is true" : ''}`,
      );
    }
    for (const name of ['keyPrefix', 'cookiePath', 'cookieDomain']) read.check(name, '', 'a string', (value) => typeof value === 'string');
    read.check('principal', undefined, 'a function of the data', (value) => typeof value === 'function');
    read.check('name', '', 'a string that is not empty', (value) => typeof value === 'string' && value !== '');
    read.boolean('keep', false);
    this.checkStore(read);
    read.rejectUnknown();
    return faults;
  }

  override identify(values: readonly string[]): FormerId[] {
    return values.flatMap((cookie) => {
      const id = this.signer === undefined ? cookie : this.signer.unsign(cookie);
      return id !== undefined && ID.test(id) ? [{ id, cookie }] : [];
    });
  }

  override async open(timeout: number): Promise<void> {
    this.records ??= recordsOf(this.options);
    await this.records?.open?.(timeout);
  }

  override async close(): Promise<void> {
    await this.records?.close?.();
  }

  override async read(id: string): Promise<FormerSession | undefined> {
    const record = await this.records?.read(this.keyPrefix + id);
    if (record === undefined) return undefined;
    const { _permanent: permanent, ...rest } = decodeFlaskRecord(record.bytes);
    const { data, flashes } = takeFlashes(rest);
    return {
      data,
      flashes,
      principal: principalOf(this.options.principal, data),
      permanent: typeof permanent === 'boolean' ? permanent : undefined,
      remaining: record.remaining,
      cookiePath: this.options.cookiePath,
      cookieDomain: this.options.cookieDomain,
    };
  }

  override async end(id: string): Promise<void> {
    await this.records?.delete(this.keyPrefix + id);
  }

  private checkStore(read: OptionReader): void {
    const given = (['redis', 'filesystem', 'memcached', 'records'] as const).filter((name) => read.raw(name) !== undefined);
    if (given.length !== 1) read.fault(given[1] ?? 'redis', read.raw(given[1] ?? 'redis'), ONE_STORE);
    if (given.includes('redis')) redisBackEnd.check?.(read.group('redis'));
    if (given.includes('memcached')) {
      const group = read.group('memcached');
      if (group.raw('client') !== undefined) group.fault('client', group.raw('client'), "nothing; name the 'servers'");
      else memcachedBackEnd.check?.(group);
    }
    if (given.includes('filesystem')) {
      const group = read.group('filesystem');
      group.check('dir', undefined, 'the path of a folder', (value) => typeof value === 'string' && value !== '');
      if (group.raw('dir') === undefined) group.fault('dir', undefined, 'the path of a folder');
    }
    read.check('records', undefined, 'an object with read and delete', isRecords);
  }
}

const ONE_STORE = "exactly one of 'redis', 'filesystem', 'memcached' and 'records'";

function recordsOf({ redis, filesystem, memcached, records }: FlaskSessionsOptions<object>): FlaskRecords | undefined {
  if (records !== undefined) return records;
  if (redis !== undefined) return new FlaskRedisRecords(redis);
  if (filesystem !== undefined) return new FlaskFileRecords(filesystem.dir);
  return memcached && new FlaskMemcachedRecords(memcached.servers);
}

/** Flask keeps pairs of a category and a message. */
function takeFlashes(session: Record<string, unknown>): { data: Record<string, unknown>; flashes: FlashMessage[] } {
  const { _flashes: pairs, ...data } = session;
  if (!Array.isArray(pairs) || !pairs.every((pair) => Array.isArray(pair) && typeof pair[0] === 'string')) {
    return { data: session, flashes: [] };
  }
  return { data, flashes: (pairs as [string, unknown][]).map(([kind, message]) => ({ kind, message })) };
}

function secretsOf(secret: unknown): string[] {
  const secrets: unknown[] = secret === undefined ? [] : [secret].flat();
  return secrets.every((one) => typeof one === 'string' && one !== '') ? (secrets as string[]) : [];
}

function isRecords(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return ['read', 'delete'].every((name) => typeof (value as Record<string, unknown>)[name] === 'function');
}
