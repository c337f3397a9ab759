import { LRUCache } from 'lru-cache';
import { endOfTurn } from '../end-of-turn.js';
import type { StoredRecord } from '../session-repository.js';

/** Bounds of the near cache. */
export interface NearCacheBounds {
  readonly maxEntries: number;
  /** Bytes of the records together, with what each of them takes beside its payload. */
  readonly maxBytes: number;
  /** Milliseconds for which a record is served at the most, whatever the server says or fails to say. */
  readonly maxAge: number;
}

/** Bytes that a record takes beside its payload: its handle, version, and its place in the map. About that. */
const ENTRY_SIZE = 300;

/**
 * Records kept in the process for as long as the server is known to tell of every change. It is enabled
 * as long as that is so; disabled, it keeps nothing.
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
  private isEnabled = false;

  constructor({ maxEntries, maxBytes, maxAge }: NearCacheBounds) {
    this.maxAge = maxAge;
    this.records = new LRUCache({
      max: maxEntries,
      ttl: maxAge,
      maxSize: maxBytes,
      sizeCalculation: ({ payload }) => ENTRY_SIZE + payload.length,
    });
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
    if (!this.isEnabled) return ask();
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
  enable(): void {
    this.isEnabled = true;
  }

  /** Changes may have gone untold: nothing that is here counts any more. */
  disable(): void {
    this.isEnabled = false;
    this.records.clear();
    this.pending.clear();
  }

  private keep(handle: string, record: StoredRecord): void {
    const ttl = Math.min(this.maxAge, (this.ends.get(handle) ?? 0) - Date.now());
    if (ttl > 0) this.records.set(handle, keptCopy(record), { ttl });
  }
}

/** In memory of its own size: a Buffer that shares memory with others would keep all of it from being freed. */
function keptCopy({ version, payload }: StoredRecord): StoredRecord {
  const bytes = Buffer.allocUnsafeSlow(payload.length);
  bytes.set(payload);
  return { version, payload: bytes };
}

/** Of the bytes, too: who gets them may change them. */
function ownCopy({ version, payload }: StoredRecord): StoredRecord {
  return { version, payload: Buffer.from(payload) };
}
