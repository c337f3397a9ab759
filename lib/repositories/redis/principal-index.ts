import { LRUCache } from 'lru-cache';
import { InvalidSessionCursorError } from '../../errors.js';
import type { RedisConnection } from './redis.connection.js';
import { ADD_TO_INDEX, REMOVE_FROM_INDEX } from './redis.scripts.js';

/** How far an entry may be behind its session before it is written again: a tenth of the lifetime, at most so many milliseconds. */
const MAX_LAG = 10 * 60_000;
/** How much longer than its session an entry is kept, in milliseconds: more than the lag, and than two clocks differ. */
const MARGIN = 2 * MAX_LAG;
/** Entries that this process remembers; a forgotten one is merely written once more. */
const CAPACITY = 100_000;

/** An entry as it was read. */
export interface IndexEntry {
  readonly handle: string;
  readonly score: string;
}

/** What this process knows of the entry of a session. */
interface KnownEntry {
  readonly tag: string;
  /** The session's version when its principal was last known to be this one. */
  readonly version: string;
  /** The expiry that the entry says, in epoch milliseconds by this process's clock. */
  readonly until: number;
}

/**
 * Which sessions a principal has: one sorted set for each, with handles as members and their expiry as scores.
 *
 * In a cluster the set is in another slot than its sessions, so the two cannot change together. Therefore the set only says
 * where to look, and a session itself says whose it is. An entry is written after its session and prolonged with it. It is removed
 * after its session has ended; what a process left behind that stopped in between is removed by the next listing. A session without
 * a principal costs nothing here.
 */
export class PrincipalIndex {
  private readonly known = new LRUCache<string, KnownEntry>({ max: CAPACITY });

  constructor(
    private readonly connection: RedisConnection,
    private readonly prefix: string,
  ) {}

  /** After a session was stored: writes its entry, unless this process did so a moment ago. @param base the version before. */
  async stored(handle: string, tag: string, version: string, base: string | undefined, ttl: number): Promise<void> {
    const known = this.known.get(handle);
    // Had another process stored the session in between, the entry may have been removed meanwhile.
    if (known?.tag === tag && known.version === base && this.isCurrent(known, ttl)) {
      this.known.set(handle, { ...known, version });
    } else {
      await this.write(handle, tag, version, ttl);
    }
  }

  /** After a session was prolonged. */
  async touched(handle: string, tag: string, version: string, ttl: number): Promise<void> {
    const known = this.known.get(handle);
    if (known?.tag === tag && this.isCurrent(known, ttl)) return;
    // The session was read and goes on; the next touch tries again.
    await this.write(handle, tag, version, ttl).catch(() => undefined);
  }

  /** After a session was deleted, or given to another principal. */
  async ended(handle: string, tag: string): Promise<void> {
    this.known.delete(handle);
    // The store has done what it was asked for. An entry that is still there leads nowhere, and a listing removes it.
    await this.connection.run((client) => client.zrem(this.keyOf(tag), handle)).catch(() => undefined);
  }

  /**
   * Entries in the order of their scores, those included that lead nowhere by now. An entry that is written again meanwhile moves
   * towards the end: it may be found twice, but is not missed.
   *
   * @param after a cursor made by `cursorOf`.
   */
  async page(tag: string, after: string | undefined, limit: number): Promise<IndexEntry[]> {
    const last = after === undefined ? undefined : parseCursor(after);
    const entries: IndexEntry[] = [];
    // The entry of the cursor itself is most often still there.
    const count = last === undefined ? limit : limit + 1;
    for (let offset = 0; entries.length < limit; offset += count) {
      const found = await this.range(tag, last?.score ?? '-inf', offset, count);
      // Several may have the score of the cursor.
      entries.push(...(last === undefined ? found : found.filter(({ handle, score }) => score !== last.score || handle > last.handle)));
      if (found.length < count) break;
    }
    return entries.slice(0, limit);
  }

  /** Removes entries that lead nowhere, unless they were written again since they were read. */
  async remove(tag: string, entries: readonly IndexEntry[]): Promise<void> {
    if (entries.length === 0) return;
    const args = entries.flatMap(({ handle, score }) => [handle, score]);
    await REMOVE_FROM_INDEX.run(this.connection, this.keyOf(tag), args);
  }

  private async range(tag: string, from: string, offset: number, count: number): Promise<IndexEntry[]> {
    const key = this.keyOf(tag);
    const found = await this.connection.run((client) => client.zrangebyscore(key, from, '+inf', 'WITHSCORES', 'LIMIT', offset, count));
    // A client of the application may be set to give pairs, with scores as numbers.
    const flat = found.flat().map(String);
    return Array.from({ length: flat.length / 2 }, (_unused, n) => ({ handle: flat[2 * n]!, score: flat[2 * n + 1]! }));
  }

  private async write(handle: string, tag: string, version: string, ttl: number): Promise<void> {
    await ADD_TO_INDEX.run(this.connection, this.keyOf(tag), [handle, Math.ceil(ttl), MARGIN]);
    this.known.set(handle, { tag, version, until: Date.now() + ttl });
  }

  private isCurrent({ until }: KnownEntry, ttl: number): boolean {
    return Date.now() + ttl - until < Math.min(MAX_LAG, ttl / 10);
  }

  private keyOf(tag: string): string {
    return `${this.prefix}principal:${tag}`;
  }
}

/** Where a listing goes on after an entry. */
export function cursorOf({ handle, score }: IndexEntry): string {
  return `${score}@${handle}`;
}

function parseCursor(cursor: string): IndexEntry {
  const [, score, handle] = /^(\d{1,16})@([\w-]{1,128})$/.exec(cursor) ?? [];
  if (score === undefined || handle === undefined) throw new InvalidSessionCursorError();
  return { score, handle };
}
