import { LRUCache } from 'lru-cache';
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
  /** Reads under way: a message that comes meanwhile makes their answer too old to keep. */
  private readonly pending = new Map<string, object>();
  private isFed = false;

  private readonly maxAge: number;

  constructor({ maxEntries, maxAge }: NearCacheBounds) {
    this.maxAge = maxAge;
    this.records = new LRUCache({ max: maxEntries, ttl: maxAge });
  }

  /** The record as of the last message, or undefined where the server has to be asked. The bytes are the caller's own. */
  get(handle: string): StoredRecord | undefined {
    const record = this.records.get(handle);
    return record && { ...record, payload: Buffer.from(record.payload) };
  }

  /**
   * Asks the server, and keeps the answer unless it is outdated when it comes. Not past the end of the record: the server tells
   * of that only when it notices itself.
   *
   * @param lifetime that the read gives the record; without it the answer says what remains.
   */
  async load(handle: string, ask: () => Promise<StoredRecord | undefined>, lifetime?: number): Promise<StoredRecord | undefined> {
    if (!this.isFed) return ask();
    const read = {};
    this.pending.set(handle, read);
    try {
      const record = await ask();
      if (record !== undefined && this.pending.get(handle) === read) {
        const ttl = Math.max(1, Math.min(this.maxAge, record.remaining ?? lifetime ?? this.maxAge));
        this.records.set(handle, { version: record.version, payload: Buffer.from(record.payload) }, { ttl });
      }
      return record;
    } finally {
      if (this.pending.get(handle) === read) this.pending.delete(handle);
    }
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
}
