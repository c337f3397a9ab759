import { LRUCache } from 'lru-cache';
import type { RedisClient } from './redis-session.repository.js';
import { ADD_TO_INDEX, REMOVE_FROM_INDEX } from './redis.scripts.js';

/** How far an entry may be behind its session before it is written again: a tenth of the lifetime, at most so many milliseconds. */
const MAX_LAG = 10 * 60_000;
/** How much longer than its session an entry is kept, in milliseconds: more than the lag, and than two clocks differ. */
const MARGIN = 2 * MAX_LAG;
/** Entries that this process remembers; a forgotten one is merely written once more. */
const CAPACITY = 100_000;
/** Entries removed by one command. */
const BATCH = 1000;

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
 * where to look, and a session itself says whose it is: an entry is written after its session, prolonged with it, and removed
 * by whoever finds that it leads nowhere. Sessions of nobody cost nothing here.
 */
export class PrincipalIndex {
  private readonly known = new LRUCache<string, KnownEntry>({ max: CAPACITY });

  constructor(private readonly prefix: string) {}

  /** After a session was stored: writes its entry, unless this process did so a moment ago. @param base the version before. */
  async stored(client: RedisClient, handle: string, tag: string, version: string, base: string | undefined, ttl: number): Promise<void> {
    const known = this.known.get(handle);
    // Had another process stored the session in between, the entry may have been removed meanwhile.
    if (known?.tag === tag && known.version === base && this.isCurrent(known, ttl)) {
      this.known.set(handle, { ...known, version });
    } else {
      await this.write(client, handle, tag, version, ttl);
    }
  }

  /** After a session was prolonged. */
  async touched(client: RedisClient, handle: string, tag: string, version: string, ttl: number): Promise<void> {
    const known = this.known.get(handle);
    if (known?.tag === tag && this.isCurrent(known, ttl)) return;
    // The session was read and goes on; the next touch tries again.
    await this.write(client, handle, tag, version, ttl).catch(() => undefined);
  }

  /** After a session was deleted, or given to another principal. */
  async ended(client: RedisClient, handle: string, tag: string): Promise<void> {
    this.known.delete(handle);
    // The store has done what it was asked for. An entry that is still there leads nowhere, and a listing removes it.
    await client.zrem(this.keyOf(tag), handle).catch(() => undefined);
  }

  /** All entries, those included that lead nowhere by now. In the order of their handles, so that a listing can go on after one. */
  async entries(client: RedisClient, tag: string): Promise<IndexEntry[]> {
    const flat = await client.zrange(this.keyOf(tag), 0, -1, 'WITHSCORES');
    const entries: IndexEntry[] = [];
    for (let at = 0; at + 1 < flat.length; at += 2) entries.push({ handle: flat[at]!, score: flat[at + 1]! });
    return entries.sort((a, b) => (a.handle < b.handle ? -1 : 1));
  }

  /** Removes entries that lead nowhere, unless they were written again since they were read. */
  async remove(client: RedisClient, tag: string, entries: readonly IndexEntry[]): Promise<void> {
    for (let start = 0; start < entries.length; start += BATCH) {
      const batch = entries.slice(start, start + BATCH);
      await REMOVE_FROM_INDEX.run(
        client,
        this.keyOf(tag),
        batch.flatMap(({ handle, score }) => [handle, score]),
      );
    }
  }

  private async write(client: RedisClient, handle: string, tag: string, version: string, ttl: number): Promise<void> {
    await ADD_TO_INDEX.run(client, this.keyOf(tag), [handle, Math.ceil(ttl), MARGIN]);
    this.known.set(handle, { tag, version, until: Date.now() + ttl });
  }

  private isCurrent({ until }: KnownEntry, ttl: number): boolean {
    return Date.now() + ttl - until < Math.min(MAX_LAG, ttl / 10);
  }

  private keyOf(tag: string): string {
    return `${this.prefix}principal:${tag}`;
  }
}
