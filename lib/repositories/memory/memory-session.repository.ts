import { setImmediate as nextTurn } from 'node:timers/promises';
import { endOfTurn } from '../end-of-turn.js';
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
import { MEMORY_DEFAULTS, type MemorySessionOptions } from './memory.options.js';
import { NONE, SessionTable } from './session-table.js';

/** What a session costs besides its payload: for the bound in bytes. */
const OVERHEAD = 200;
/** Expired sessions that one write removes along with its own work: more than it makes, so that none pile up. */
const SWEPT_A_WRITE = 2;
/** Expired sessions that are removed before others get their turn. */
const SWEPT_A_TURN = 1_000;

/**
 * Sessions in this process's memory, bounded in number and bytes. They are gone when it ends, and other processes do not see
 * them: for tests and small single-process applications.
 */
export class MemorySessionRepository extends SessionRepository implements ListableSessionRepository {
  private readonly table = new SessionTable();
  private readonly maxEntries: number;
  private readonly maxBytes: number;

  constructor(options: MemorySessionOptions = {}) {
    super();
    const { maxEntries, maxBytes } = { ...MEMORY_DEFAULTS, ...options };
    this.maxEntries = maxEntries;
    this.maxBytes = maxBytes;
  }

  override async create(handle: string, { payload, principal }: SessionRecord, ttl: number): Promise<SessionVersion | undefined> {
    if (this.find(handle) !== NONE) return undefined;
    this.checkSize(payload);
    this.sweep(SWEPT_A_WRITE);
    while (this.table.size >= this.maxEntries || !this.fits(OVERHEAD + payload.length)) this.evict();
    this.table.add(handle, payload, principal, performance.now() + ttl);
    return '1';
  }

  override async read(handle: string, touch?: number): Promise<StoredRecord | undefined> {
    await endOfTurn();
    const slot = this.find(handle);
    if (slot === NONE) return undefined;
    const stored = this.storedAt(slot);
    this.table.touch(slot, touch === undefined ? undefined : performance.now() + touch);
    return stored;
  }

  override async update(handle: string, { payload, principal }: SessionRecord, base: SessionVersion, ttl: number): Promise<UpdateResult> {
    const slot = this.find(handle);
    if (slot === NONE) return { status: 'gone' };
    if (String(this.table.versionOf(slot)) !== base) return { status: 'conflict' };
    this.checkSize(payload);
    // Before room is made: what is being written is not to go.
    this.table.touch(slot, performance.now() + ttl);
    this.sweep(SWEPT_A_WRITE);
    while (!this.fits(payload.length - this.table.payloadLengthOf(slot))) this.evict();
    this.table.replace(slot, payload, principal);
    return { status: 'updated', version: String(this.table.versionOf(slot)) };
  }

  override async delete(handle: string, base?: SessionVersion): Promise<boolean> {
    const slot = this.find(handle);
    if (slot === NONE || (base !== undefined && String(this.table.versionOf(slot)) !== base)) return false;
    this.table.remove(slot);
    return true;
  }

  override async purgeExpired(): Promise<number> {
    let removed = 0;
    for (;;) {
      const swept = this.sweep(SWEPT_A_TURN);
      removed += swept;
      if (swept < SWEPT_A_TURN) return removed;
      await nextTurn();
    }
  }

  async list({ principal, cursor, limit }: ListQuery): Promise<RecordPage> {
    const { table } = this;
    const position = cursor === undefined ? undefined : Number(cursor);
    const now = performance.now();
    const records: ListedRecord[] = [];
    let last: number | undefined;
    for (const slot of principal === undefined ? table.after(position ?? NONE) : table.of(principal)) {
      if (table.expiryOf(slot) <= now) continue;
      if (principal !== undefined && position !== undefined && !table.isLater(slot, position)) continue;
      if (records.length === limit) return { records, cursor: String(last) };
      records.push({ handle: table.handleOf(slot), ...this.storedAt(slot) });
      last = principal === undefined ? slot : table.sequenceOf(slot);
    }
    return { records };
  }

  async count({ principal }: { principal?: string | undefined }): Promise<number> {
    await this.purgeExpired();
    if (principal === undefined) return this.table.size;
    let count = 0;
    for (const _slot of this.table.of(principal)) count++;
    return count;
  }

  /** The slot of a session that lives, or NONE. */
  private find(handle: string): number {
    const slot = this.table.find(handle);
    if (slot === NONE || this.table.expiryOf(slot) > performance.now()) return slot;
    this.table.remove(slot);
    return NONE;
  }

  private storedAt(slot: number): StoredRecord {
    const { table } = this;
    return {
      payload: table.payloadOf(slot),
      principal: table.principalOf(slot),
      version: String(table.versionOf(slot)),
      remaining: table.expiryOf(slot) - performance.now(),
    };
  }

  private checkSize({ length }: Uint8Array): void {
    if (length + OVERHEAD > this.maxBytes)
      throw new Error(`a session of ${length} bytes does not fit into the memory back end (option 'memory.maxBytes')`);
  }

  private fits(bytes: number): boolean {
    return this.table.bytes + this.table.size * OVERHEAD + bytes <= this.maxBytes;
  }

  /** Removes one session to make room: an expired one, or else the longest unused. */
  private evict(): void {
    if (this.sweep(1) === 0) this.table.remove(this.table.longestUnused);
  }

  /** Removes expired sessions, at most so many. @returns how many. */
  private sweep(limit: number): number {
    const now = performance.now();
    for (let removed = 0; removed < limit; removed++) {
      const slot = this.table.firstToExpire;
      if (slot === undefined || this.table.expiryOf(slot) > now) return removed;
      this.table.remove(slot);
    }
    return limit;
  }
}
