import type { Cluster, Redis } from 'ioredis';
import { UnreadableRecordError } from '../../errors.js';
import type { ResolvedSessionOptions } from '../../options/resolved-options.js';
import {
  type ListableSessionRepository,
  type ListedRecord,
  type ListQuery,
  type RecordPage,
  SessionRepository,
  type SessionRecord,
  type SessionVersion,
  type StoredRecord,
  type UpdateResult,
} from '../session-repository.js';
import { OptionReader } from '../../options/option-reader.js';
import { InvalidationListener } from './invalidation.listener.js';
import { KeyScan } from './key-scan.js';
import { NearCache } from './near-cache.js';
import { type IndexEntry, PrincipalIndex } from './principal-index.js';
import { RedisConnection } from './redis.connection.js';
import { resolveNearCache } from './redis.options.js';
import { DELETE, SET_IF_VERSION } from './redis.scripts.js';
import { decodeValue, encodeValue, HEAD_LENGTH, tagInHead, tagOf } from './redis.value.js';

const WRONG_TYPE = /\bWRONGTYPE\b/;

/** What PTTL says of a key that does not exist. */
const KEY_IS_GONE = -2;
/** Commands that are on their way at the same time, where there is one for each session. */
const PARALLEL = 500;

/**
 * One string a session, with the session's lifetime as the key's (see `redis.value.ts`), and one sorted set a principal. Every
 * command touches one key, so a cluster is like a single node.
 */
export class RedisSessionRepository extends SessionRepository implements ListableSessionRepository {
  private readonly index: PrincipalIndex;
  private readonly keys: KeyScan;

  private constructor(
    private readonly connection: RedisConnection,
    private readonly prefix: string,
    private readonly near?: { readonly cache: NearCache; readonly listener: InvalidationListener },
  ) {
    super();
    this.index = new PrincipalIndex(prefix);
    this.keys = new KeyScan(prefix);
  }

  /** @throws MissingPackageError when ioredis is needed and not installed. */
  static async create({ redis, keyPrefix, storeTimeout }: ResolvedSessionOptions): Promise<RedisSessionRepository> {
    const connection = await RedisConnection.open(redis, storeTimeout);
    if (redis?.nearCache === undefined) return new RedisSessionRepository(connection, keyPrefix);
    const cache = new NearCache(resolveNearCache(new OptionReader({ ...redis.nearCache }, [])));
    const listener = new InvalidationListener(connection.client as Redis, keyPrefix, cache);
    return new RedisSessionRepository(connection, keyPrefix, { cache, listener });
  }

  override create(handle: string, { payload, principal }: SessionRecord, ttl: number): Promise<SessionVersion | undefined> {
    return this.connection.run(async (client) => {
      const tag = tagOf(principal);
      const created = await client.set(this.prefix + handle, encodeValue('1', tag, payload), 'PX', toPx(ttl), 'NX');
      if (created === null) return undefined;
      this.near?.cache.stored(handle, ttl);
      if (tag !== undefined) await this.index.stored(client, handle, tag, '1', undefined, ttl);
      return '1';
    });
  }

  override read(handle: string, touch?: number): Promise<StoredRecord | undefined> {
    const ask = (): Promise<StoredRecord | undefined> => (touch === undefined ? this.get(handle) : this.getAndTouch(handle, touch));
    return this.near === undefined ? ask() : this.near.cache.read(handle, ask, touch);
  }

  private get(handle: string): Promise<StoredRecord | undefined> {
    return this.connection.run((client) => client.getBuffer(this.prefix + handle)).then(toRecord, explainWrongType);
  }

  private getAndTouch(handle: string, lifetime: number): Promise<StoredRecord | undefined> {
    return this.connection.run(async (client) => {
      const value = await client.getexBuffer(this.prefix + handle, 'PX', toPx(lifetime)).catch(explainWrongType);
      if (value === null) return undefined;
      const { version, tag, payload } = decodeValue(value);
      if (tag !== undefined) await this.index.touched(client, handle, tag, version, lifetime);
      return { version, payload };
    });
  }

  override peek(handle: string): Promise<StoredRecord | undefined> {
    return this.connection.run(async (client) => {
      const found = await this.fetch(client, handle);
      return found && { version: found.version, payload: found.payload, remaining: found.remaining };
    });
  }

  override update(handle: string, { payload, principal }: SessionRecord, base: SessionVersion, ttl: number): Promise<UpdateResult> {
    return this.connection.run(async (client) => {
      const version = String(Number(base) + 1);
      const tag = tagOf(principal);
      let status: unknown;
      try {
        status = await SET_IF_VERSION.run(client, this.prefix + handle, [base, encodeValue(version, tag, payload), toPx(ttl), tag ?? '']);
      } catch (error) {
        explainWrongType(error);
      } finally {
        this.near?.cache.forget(handle);
      }
      if (status === 0 || status === -1) return { status: status === 0 ? 'conflict' : 'gone' };
      this.near?.cache.stored(handle, ttl);
      if (typeof status === 'string') await this.index.ended(client, handle, status);
      if (tag !== undefined) await this.index.stored(client, handle, tag, version, base, ttl);
      return { status: 'updated', version };
    });
  }

  override delete(handle: string, base: SessionVersion = ''): Promise<boolean> {
    return this.connection.run(async (client) => {
      const deletion = DELETE.run(client, this.prefix + handle, [base, HEAD_LENGTH]);
      const head = await deletion.finally(() => this.near?.cache.forget(handle));
      if (typeof head !== 'string') return false;
      const tag = tagInHead(head);
      if (tag !== undefined) await this.index.ended(client, handle, tag);
      return true;
    });
  }

  list({ principal, cursor, limit }: ListQuery): Promise<RecordPage> {
    return this.connection.run(async (client) => {
      if (principal !== undefined) return this.listByPrincipal(client, principal, cursor, limit);
      const page = await this.keys.page(client, cursor, limit);
      const records = await inBatches(page.handles, (handle) => this.fetchListed(client, handle));
      return { records: records.filter((record) => record !== undefined), cursor: page.cursor };
    });
  }

  count({ principal }: { readonly principal?: string | undefined }): Promise<number> {
    return this.connection.run(async (client) => {
      const tag = tagOf(principal);
      if (tag === undefined) return this.keys.count(client);
      const entries = await this.index.entries(client, tag);
      const tags = await inBatches(entries, ({ handle }) => this.tagAt(client, handle));
      await this.index.remove(
        client,
        tag,
        entries.filter((_entry, at) => tags[at] !== tag),
      );
      return tags.filter((found) => found === tag).length;
    });
  }

  override onApplicationShutdown(): Promise<void> {
    this.near?.listener.close();
    return this.connection.close();
  }

  private async listByPrincipal(client: RedisClient, principal: string, cursor: string | undefined, limit: number): Promise<RecordPage> {
    const tag = tagOf(principal)!;
    const entries = await this.index.entries(client, tag);
    const rest = cursor === undefined ? entries : entries.filter(({ handle }) => handle > cursor);
    const records: ListedRecord[] = [];
    const stale: IndexEntry[] = [];
    let seen = 0;
    // Entries that lead nowhere make no empty pages.
    while (seen < rest.length && records.length < limit) {
      const next = rest.slice(seen, seen + limit - records.length);
      const found = await inBatches(next, ({ handle }) => this.fetchListed(client, handle));
      for (const [at, entry] of next.entries()) {
        const record = found[at];
        if (record?.tag === tag) records.push({ ...record, principal });
        else stale.push(entry);
      }
      seen += next.length;
    }
    await this.index.remove(client, tag, stale);
    return { records, cursor: seen < rest.length ? rest[seen - 1]?.handle : undefined };
  }

  /** A record with what remains of it, read without touching it. */
  private async fetch(client: RedisClient, handle: string): Promise<FetchedRecord | undefined> {
    const key = this.prefix + handle;
    const [value, remaining] = await Promise.all([client.getBuffer(key), client.pttl(key)]).catch(explainWrongType);
    // Expired between the two.
    if (value === null || remaining === KEY_IS_GONE) return undefined;
    return { ...decodeValue(value), handle, remaining: remaining < 0 ? undefined : remaining };
  }

  /** As `fetch`; what cannot be read is left out. */
  private async fetchListed(client: RedisClient, handle: string): Promise<FetchedRecord | undefined> {
    try {
      return await this.fetch(client, handle);
    } catch (error) {
      if (error instanceof UnreadableRecordError) return undefined;
      throw error;
    }
  }

  private async tagAt(client: RedisClient, handle: string): Promise<string | undefined> {
    const head = client.getrange(this.prefix + handle, 0, HEAD_LENGTH - 1);
    return tagInHead(await head.catch((error: unknown) => (isWrongType(error) ? '' : Promise.reject(error))));
  }
}

interface FetchedRecord extends ListedRecord {
  readonly tag: string | undefined;
}

/** The client of either kind. */
export type RedisClient = Redis | Cluster;

/** Does the same for each item, not for all of them at once. */
async function inBatches<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let start = 0; start < items.length; start += PARALLEL) {
    results.push(...(await Promise.all(items.slice(start, start + PARALLEL).map(work))));
  }
  return results;
}

function isWrongType(error: unknown): error is Error {
  return error instanceof Error && WRONG_TYPE.test(error.message);
}

/** Another program's list or hash under the key is a record that cannot be read, not a store that does not work. */
function explainWrongType(error: unknown): never {
  if (isWrongType(error)) throw new UnreadableRecordError('its key holds another type of value', error);
  throw error;
}

function toRecord(value: Buffer | null): StoredRecord | undefined {
  if (value === null) return undefined;
  const { version, payload } = decodeValue(value);
  return { version, payload };
}

/** Redis takes whole milliseconds, at least one. */
function toPx(ttl: number): number {
  return Math.max(1, Math.ceil(ttl));
}
