import { LRUCache } from 'lru-cache';
import { endOfTurn } from '../../common/end-of-turn.js';
import type { StoredRecord } from '../session-repository.js';

/** Bounds of the near cache. */
export interface NearCacheBounds {
  readonly maxEntries: number;
  /** Milliseconds for which a record is served at the most, whatever the server says or fails to say. */
  readonly maxAge: number;
}

/**
 * Records kept in the process for as long as the server is known to tell of every change. Who feeds it the server's messages is
 * not its concern; while nobody does, it keeps nothing.
 */
export class NearCache {
  private readonly records: LRUCache<string, StoredRecord>;
  /**
   * When records end, as this process last told the server, in epoch milliseconds: of an end the server tells only when it notices
   * it itself. What has no end here is not kept.
   */
  private readonly ends: LRUCache<string, number>;
  /** Reads under way: a message that comes meanwhile makes their answer too old to keep. */
  private readonly pending = new Map<string, object>();
  private readonly maxAge: number;
  private isFed = false;

  constructor({ maxEntries, maxAge }: NearCacheBounds) {
    this.maxAge = maxAge;
    this.records = new LRUCache({ max: maxEntries, ttl: maxAge });
    this.ends = new LRUCache({ max: maxEntries });
  }

  /**
   * The record, from here or from the server.
   *
   * @param touch the lifetime that the read gives the record; it has to reach the server in any case.
   */
  async read(handle: string, ask: () => Promise<StoredRecord | undefined>, touch?: number): Promise<StoredRecord | undefined> {
    if (touch === undefined) {
      await endOfTurn();
      const record = this.records.get(handle);
      if (record !== undefined) return ownCopy(record);
    }
    if (!this.isFed) return ask();
    const mark = {};
    this.pending.set(handle, mark);
    try {
      const record = await ask();
      if (record !== undefined && touch !== undefined) this.ends.set(handle, Date.now() + touch);
      if (record !== undefined && this.pending.get(handle) === mark) this.keep(handle, record);
      return record;
    } finally {
      if (this.pending.get(handle) === mark) this.pending.delete(handle);
    }
  }

  /** This process stored the record, with so many milliseconds to live. */
  stored(handle: string, lifetime: number): void {
    this.forget(handle);
    this.ends.set(handle, Date.now() + lifetime);
  }

  /** The record changed, or may have. */
  forget(handle: string): void {
    this.records.delete(handle);
    this.pending.delete(handle);
  }

  /** From here on every change is told. */
  feed(): void {
    this.isFed = true;
  }

  /** Changes may have gone untold: nothing that is here counts any more. */
  starve(): void {
    this.isFed = false;
    this.records.clear();
    this.pending.clear();
  }

  private keep(handle: string, record: StoredRecord): void {
    const ttl = Math.min(this.maxAge, (this.ends.get(handle) ?? 0) - Date.now());
    if (ttl > 0) this.records.set(handle, ownCopy(record), { ttl });
  }
}

/** Of the bytes, too: whoever gets them may change them. */
function ownCopy({ version, payload }: StoredRecord): StoredRecord {
  return { version, payload: Buffer.from(payload) };
}
