import { LRUCache } from 'lru-cache';
import { endOfTurn } from '../../common/end-of-turn.js';
import {
  type ListableSessionRepository,
  type ListQuery,
  type RecordPage,
  SessionRepository,
  type SessionRecord,
  type SessionVersion,
  type StoredRecord,
  type UpdateResult,
} from '../session-repository.js';
import { MEMORY_DEFAULTS, type MemorySessionOptions } from './memory.options.js';

interface Entry {
  readonly payload: Uint8Array;
  readonly principal: string | undefined;
  readonly version: number;
}

/** What an entry costs besides its payload, roughly: for the bound in bytes. */
const ENTRY_OVERHEAD = 200;
/** At a bound, expired sessions are looked for this often, in milliseconds: it means a walk over all entries. */
const SWEEP_INTERVAL = 1_000;

/**
 * Sessions in this process's memory, bounded in number and bytes. They are gone when it ends, and other processes do not see
 * them: for tests and small single-process applications.
 */
export class MemorySessionRepository extends SessionRepository implements ListableSessionRepository {
  private readonly entries: LRUCache<string, Entry>;
  private readonly byPrincipal = new Map<string, Set<string>>();
  private sweptAt = Number.NEGATIVE_INFINITY;

  constructor(options: MemorySessionOptions = {}) {
    super();
    const { maxEntries, maxBytes } = { ...MEMORY_DEFAULTS, ...options };
    this.entries = new LRUCache({
      max: maxEntries,
      maxSize: maxBytes,
      sizeCalculation: ({ payload }) => payload.length + ENTRY_OVERHEAD,
      ttlResolution: 0,
      ttl: 1, // Each entry brings its own.
      dispose: ({ principal }, handle) => this.unlink(principal, handle),
      onInsert: ({ principal }, handle) => this.link(principal, handle),
    });
  }

  override async create(handle: string, record: SessionRecord, ttl: number): Promise<SessionVersion | undefined> {
    if (this.entries.has(handle)) return undefined;
    return this.put(handle, record, 1, ttl);
  }

  override async read(handle: string, touch?: number): Promise<StoredRecord | undefined> {
    await endOfTurn();
    const entry = this.entries.get(handle);
    if (entry === undefined) return undefined;
    const remaining = this.entries.getRemainingTTL(handle);
    if (touch !== undefined) this.entries.set(handle, entry, { ttl: wholeLifetime(touch) });
    return toStored(entry, remaining);
  }

  override async update(handle: string, record: SessionRecord, base: SessionVersion, ttl: number): Promise<UpdateResult> {
    const entry = this.entries.peek(handle);
    if (entry === undefined) return { status: 'gone' };
    if (String(entry.version) !== base) return { status: 'conflict' };
    return { status: 'updated', version: this.put(handle, record, entry.version + 1, ttl) };
  }

  override async delete(handle: string, base?: SessionVersion): Promise<boolean> {
    const entry = this.entries.peek(handle);
    if (entry === undefined || (base !== undefined && String(entry.version) !== base)) return false;
    this.entries.delete(handle);
    return true;
  }

  override async purgeExpired(): Promise<number> {
    const before = this.entries.size;
    this.entries.purgeStale();
    return before - this.entries.size;
  }

  async list({ principal, cursor = '', limit }: ListQuery): Promise<RecordPage> {
    const handles = [...(principal === undefined ? this.entries.keys() : (this.byPrincipal.get(principal) ?? []))]
      .filter((handle) => handle > cursor && this.entries.has(handle))
      .sort();
    const page = handles.slice(0, limit);
    const records = page.flatMap((handle) => {
      const entry = this.entries.peek(handle);
      return entry === undefined ? [] : [{ handle, ...toStored(entry, this.entries.getRemainingTTL(handle)) }];
    });
    return { records, cursor: handles.length > limit ? page.at(-1) : undefined };
  }

  async count({ principal }: { principal?: string | undefined }): Promise<number> {
    this.entries.purgeStale();
    return principal === undefined ? this.entries.size : (this.byPrincipal.get(principal)?.size ?? 0);
  }

  private put(handle: string, { payload, principal }: SessionRecord, version: number, ttl: number): SessionVersion {
    // The cache would drop it without a word, and with it the record before.
    if (payload.length + ENTRY_OVERHEAD > this.entries.maxSize)
      throw new Error(`a session of ${payload.length} bytes does not fit into the memory back end (option 'memory.maxBytes')`);
    this.makeRoom(payload.length + ENTRY_OVERHEAD);
    this.entries.set(handle, { payload: Uint8Array.from(payload), principal, version }, { ttl: wholeLifetime(ttl) });
    return String(version);
  }

  /** At a bound the cache would forget the longest unused session, be it alive: what has expired goes before. */
  private makeRoom(bytes: number): void {
    const { size, max, calculatedSize, maxSize } = this.entries;
    if (size < max && calculatedSize + bytes <= maxSize) return;
    const now = performance.now();
    if (now - this.sweptAt < SWEEP_INTERVAL) return;
    this.sweptAt = now;
    this.entries.purgeStale();
  }

  private link(principal: string | undefined, handle: string): void {
    if (principal === undefined) return;
    let handles = this.byPrincipal.get(principal);
    if (handles === undefined) this.byPrincipal.set(principal, (handles = new Set()));
    handles.add(handle);
  }

  private unlink(principal: string | undefined, handle: string): void {
    if (principal === undefined) return;
    const handles = this.byPrincipal.get(principal);
    handles?.delete(handle);
    if (handles?.size === 0) this.byPrincipal.delete(principal);
  }
}

/** Bytes are copied on their way in and out: what the caller does with its own is its own affair. */
function toStored({ payload, principal, version }: Entry, remaining: number): StoredRecord {
  return { payload: Uint8Array.from(payload), principal, version: String(version), remaining };
}

/** The cache takes whole milliseconds, and 0 for ever. */
function wholeLifetime(ttl: number): number {
  return Math.max(1, Math.ceil(ttl));
}
