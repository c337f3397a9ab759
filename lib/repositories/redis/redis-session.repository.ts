import type { Redis } from 'ioredis';
import { UnreadableRecordError } from '../../errors.js';
import type { RepositoryOptions } from '../repository.factory.js';
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
import { OptionReader } from '../../common/option-reader.js';
import { InvalidationListener } from './invalidation.listener.js';
import { KeyScan } from './key-scan.js';
import { NearCache } from './near-cache.js';
import { cursorOf, type IndexEntry, PrincipalIndex } from './principal-index.js';
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
    /** Milliseconds for which a listing goes on over entries that lead nowhere. */
    private readonly listingTime: number,
    private readonly near?: { readonly cache: NearCache; readonly listener: InvalidationListener },
  ) {
    super();
    this.index = new PrincipalIndex(connection, prefix);
    this.keys = new KeyScan(connection, prefix);
  }

  /** @throws MissingPackageError when ioredis is needed and not installed. */
  static async create({ redis, keyPrefix, storeTimeout }: RepositoryOptions): Promise<RedisSessionRepository> {
    const connection = await RedisConnection.open(redis, storeTimeout);
    const listingTime = storeTimeout / 2;
    if (redis?.nearCache === undefined) return new RedisSessionRepository(connection, keyPrefix, listingTime);
    const cache = new NearCache(resolveNearCache(new OptionReader({ ...redis.nearCache }, [])));
    const listener = new InvalidationListener(connection.client as Redis, connection.keyPrefix + keyPrefix, cache);
    return new RedisSessionRepository(connection, keyPrefix, listingTime, { cache, listener });
  }

  override async create(handle: string, { payload, principal }: SessionRecord, ttl: number): Promise<SessionVersion | undefined> {
    const tag = tagOf(principal);
    const [key, value] = [this.prefix + handle, encodeValue('1', tag, payload)];
    const created = await this.connection.run((client) => client.set(key, value, 'PX', toPx(ttl), 'NX'));
    if (created === null) return undefined;
    this.near?.cache.stored(handle, ttl);
    if (tag !== undefined) await this.index.stored(handle, tag, '1', undefined, ttl);
    return '1';
  }

  override read(handle: string, touch?: number): Promise<StoredRecord | undefined> {
    const ask = (): Promise<StoredRecord | undefined> => (touch === undefined ? this.get(handle) : this.getAndTouch(handle, touch));
    return this.near === undefined ? ask() : this.near.cache.read(handle, ask, touch);
  }

  private get(handle: string): Promise<StoredRecord | undefined> {
    return this.connection.run((client) => client.getBuffer(this.prefix + handle)).then(toRecord, explainWrongType);
  }

  private async getAndTouch(handle: string, lifetime: number): Promise<StoredRecord | undefined> {
    const answer = this.connection.run((client) => client.getexBuffer(this.prefix + handle, 'PX', toPx(lifetime)));
    const value = await answer.catch(explainWrongType);
    if (value === null) return undefined;
    const { version, tag, payload } = decodeValue(value);
    if (tag !== undefined) await this.index.touched(handle, tag, version, lifetime);
    return { version, payload };
  }

  override async peek(handle: string): Promise<StoredRecord | undefined> {
    const found = await this.fetch(handle);
    return found && { version: found.version, payload: found.payload, remaining: found.remaining };
  }

  override async update(handle: string, { payload, principal }: SessionRecord, base: SessionVersion, ttl: number): Promise<UpdateResult> {
    const version = String(Number(base) + 1);
    const tag = tagOf(principal);
    let status: unknown;
    try {
      const args = [base, encodeValue(version, tag, payload), toPx(ttl), tag ?? ''];
      status = await SET_IF_VERSION.run(this.connection, this.prefix + handle, args);
    } catch (error) {
      explainWrongType(error);
    } finally {
      this.near?.cache.forget(handle);
    }
    if (status === 0) return { status: 'conflict' };
    if (status === -1) return { status: 'gone' };
    this.near?.cache.stored(handle, ttl);
    if (typeof status === 'string') await this.index.ended(handle, status);
    if (tag !== undefined) await this.index.stored(handle, tag, version, base, ttl);
    return { status: 'updated', version };
  }

  override async delete(handle: string, base: SessionVersion = ''): Promise<boolean> {
    const deletion = DELETE.run(this.connection, this.prefix + handle, [base, HEAD_LENGTH]);
    const head = await deletion.finally(() => this.near?.cache.forget(handle));
    if (typeof head !== 'string') return false;
    const tag = tagInHead(head);
    if (tag !== undefined) await this.index.ended(handle, tag);
    return true;
  }

  async list({ principal, cursor, limit }: ListQuery): Promise<RecordPage> {
    if (principal !== undefined) return this.listByPrincipal(principal, cursor, limit);
    const page = await this.keys.page(cursor, limit);
    const records = await inBatches(page.handles, (handle) => this.fetchListed(handle));
    return { records: records.filter((record) => record !== undefined), cursor: page.cursor };
  }

  async count({ principal }: { readonly principal?: string | undefined }): Promise<number> {
    const tag = tagOf(principal);
    if (tag === undefined) return this.keys.count();
    const counted = new Set<string>();
    let entries: IndexEntry[];
    let cursor: string | undefined;
    do {
      entries = await this.index.page(tag, cursor, PARALLEL);
      const tags = await Promise.all(entries.map(({ handle }) => this.tagAt(handle)));
      const [alive, dead] = partition(entries, (_entry, at) => tags[at] === tag);
      for (const { handle } of alive) counted.add(handle);
      await this.index.remove(tag, dead);
      cursor = entries.length === 0 ? undefined : cursorOf(entries.at(-1)!);
    } while (entries.length === PARALLEL);
    return counted.size;
  }

  override onApplicationShutdown(): Promise<void> {
    this.near?.listener.close();
    return this.connection.close();
  }

  /** Entries that lead nowhere are removed as they are met. Where there are many a page comes in time, and the next one goes on. */
  private async listByPrincipal(principal: string, cursor: string | undefined, limit: number): Promise<RecordPage> {
    const tag = tagOf(principal)!;
    const end = performance.now() + this.listingTime;
    const records: ListedRecord[] = [];
    let position = cursor;
    for (let step = limit; ;) {
      const found = await this.index.page(tag, position, step + 1);
      const entries = found.slice(0, step);
      const fetched = await inBatches(entries, ({ handle }) => this.fetchListed(handle));
      const dead: IndexEntry[] = [];
      for (const [at, entry] of entries.entries()) {
        const record = fetched[at];
        if (record?.tag !== tag) dead.push(entry);
        else if (records.length === limit) break;
        else records.push({ ...record, principal });
        position = cursorOf(entry);
      }
      await this.index.remove(tag, dead);
      const isLast = found.length <= step && (records.length < limit || position === cursorOf(entries.at(-1)!));
      if (isLast) return { records, cursor: undefined };
      if (records.length === limit || performance.now() > end) return { records, cursor: position };
      step = dead.length > entries.length / 2 ? Math.min(2 * step, PARALLEL) : limit - records.length;
    }
  }

  /** A record with what remains of it, read without touching it. */
  private async fetch(handle: string): Promise<FetchedRecord | undefined> {
    const key = this.prefix + handle;
    const answers = this.connection.run((client) => Promise.all([client.getBuffer(key), client.pttl(key)]));
    const [value, remaining] = await answers.catch(explainWrongType);
    // Expired between the two.
    if (value === null || remaining === KEY_IS_GONE) return undefined;
    return { ...decodeValue(value), handle, remaining: remaining < 0 ? undefined : remaining };
  }

  /** As `fetch`; what cannot be read is left out. */
  private async fetchListed(handle: string): Promise<FetchedRecord | undefined> {
    try {
      return await this.fetch(handle);
    } catch (error) {
      if (error instanceof UnreadableRecordError) return undefined;
      throw error;
    }
  }

  private async tagAt(handle: string): Promise<string | undefined> {
    try {
      return tagInHead(await this.connection.run((client) => client.getrange(this.prefix + handle, 0, HEAD_LENGTH - 1)));
    } catch (error) {
      if (isWrongType(error)) return undefined;
      throw error;
    }
  }
}

interface FetchedRecord extends ListedRecord {
  readonly tag: string | undefined;
}

/** Does the same for each item, not for all of them at once. */
async function inBatches<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let start = 0; start < items.length; start += PARALLEL) {
    results.push(...(await Promise.all(items.slice(start, start + PARALLEL).map(work))));
  }
  return results;
}

function partition<T>(items: readonly T[], belongs: (item: T, at: number) => boolean): [T[], T[]] {
  const [yes, no]: [T[], T[]] = [[], []];
  for (const [at, item] of items.entries()) (belongs(item, at) ? yes : no).push(item);
  return [yes, no];
}

function isWrongType(error: unknown): error is Error {
  return error instanceof Error && WRONG_TYPE.test(error.message);
}

/** Another program's list or hash under the key is a record that cannot be read, not a store that does not work. */
function explainWrongType(error: unknown): never {
  // Without the cause: errors of the client hold the arguments of their command.
  if (isWrongType(error)) throw new UnreadableRecordError('its key holds another type of value');
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
