import type { Cluster, Redis } from 'ioredis';
import { UnreadableRecordError } from '../../errors/session.errors.js';
import type { ResolvedSessionOptions } from '../../options/resolved-options.js';
import { SessionRepository, type SessionRecord, type SessionVersion, type StoredRecord, type UpdateResult } from '../session-repository.js';
import { RedisConnection } from './redis.connection.js';
import { SET_IF_VERSION } from './redis.scripts.js';

/** Separates the version from the payload in a stored value. */
const SEPARATOR = 0x3a;
/** As many as a number holds exactly. */
const MAX_DIGITS = 15;
const VERSION = new RegExp(`^\\d{1,${MAX_DIGITS}}$`);
const WRONG_TYPE = /\bWRONGTYPE\b/;

/**
 * One string a session: `<version>:<payload>`, with the session's lifetime as the key's. Every command touches one key, so a
 * cluster is like a single node.
 */
export class RedisSessionRepository extends SessionRepository {
  private constructor(
    private readonly connection: RedisConnection,
    private readonly prefix: string,
  ) {
    super();
  }

  /** @throws MissingPackageError when ioredis is needed and not installed. */
  static async create({ redis, keyPrefix, storeTimeout }: ResolvedSessionOptions): Promise<RedisSessionRepository> {
    return new RedisSessionRepository(await RedisConnection.open(redis, storeTimeout), keyPrefix);
  }

  override async create(handle: string, { payload }: SessionRecord, ttl: number): Promise<SessionVersion | undefined> {
    const client = await this.connection.ready();
    const created = await client.set(this.prefix + handle, toValue('1', payload), 'PX', toPx(ttl), 'NX');
    return created === null ? undefined : '1';
  }

  override async read(handle: string, touch?: number): Promise<StoredRecord | undefined> {
    const client = await this.connection.ready();
    const key = this.prefix + handle;
    const reply = touch === undefined ? client.getBuffer(key) : client.getexBuffer(key, 'PX', toPx(touch));
    const value = await reply.catch(explainWrongType);
    return value === null ? undefined : fromValue(value);
  }

  override async update(handle: string, { payload }: SessionRecord, base: SessionVersion, ttl: number): Promise<UpdateResult> {
    const client = await this.connection.ready();
    const version = String(Number(base) + 1);
    const args = [base, toValue(version, payload), toPx(ttl)];
    const status = await SET_IF_VERSION.run(client, this.prefix + handle, args).catch(explainWrongType);
    if (status === 1) return { status: 'updated', version };
    return { status: status === 0 ? 'conflict' : 'gone' };
  }

  override async delete(handle: string): Promise<boolean> {
    const client = await this.connection.ready();
    return (await client.del(this.prefix + handle)) > 0;
  }

  override onApplicationShutdown(): Promise<void> {
    return this.connection.close();
  }
}

/** The client of either kind. */
export type RedisClient = Redis | Cluster;

function toValue(version: string, payload: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`${version}:`), payload]);
}

function fromValue(value: Buffer): StoredRecord {
  const end = value.indexOf(SEPARATOR);
  const version = value.toString('latin1', 0, Math.max(0, Math.min(end, MAX_DIGITS + 1)));
  if (!VERSION.test(version)) throw new UnreadableRecordError('its value was not written by a session repository');
  return { version, payload: value.subarray(end + 1) };
}

/** Another program's list or hash under the key is a record that cannot be read, not a store that does not work. */
function explainWrongType(error: unknown): never {
  if (error instanceof Error && WRONG_TYPE.test(error.message))
    throw new UnreadableRecordError('its key holds another type of value', error);
  throw error;
}

/** Redis takes whole milliseconds, at least one. */
function toPx(ttl: number): number {
  return Math.max(1, Math.ceil(ttl));
}
