import { randomBytes } from 'node:crypto';
import { UnreadableRecordError } from '../errors.js';
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
} from '../repositories/session-repository.js';
import { type ExpressStore, ExpressStoreCalls, type ExpressStoreSession } from './express-store.js';

/** A record of ours as a session of express-session. Stores write it as JSON. */
interface ExpressRecord extends ExpressStoreSession {
  /** Stores hand out lists without names. */
  handle: string;
  version: SessionVersion;
  /** Base64. */
  payload: string;
  principal?: string;
}

/** Sessions in a store of express-session: see `fromExpressStore`. */
export class ExpressStoreRepository extends SessionRepository {
  protected readonly store: ExpressStoreCalls;
  private readonly tails = new Map<string, Promise<unknown>>();

  constructor(store: ExpressStore) {
    super();
    this.store = new ExpressStoreCalls(store);
  }

  override create(handle: string, record: SessionRecord, ttl: number): Promise<SessionVersion | undefined> {
    const next = toExpress(handle, record, ttl);
    return this.inTurn(handle, async () => {
      if ((await this.store.get(handle)) !== undefined) return undefined;
      await this.store.set(handle, next);
      return next.version;
    });
  }

  override async read(handle: string, touch?: number): Promise<StoredRecord | undefined> {
    if (touch === undefined) return fromExpress(await this.store.get(handle));
    return this.inTurn(handle, async () => {
      const found = asRecord(await this.store.get(handle));
      if (found === undefined) return undefined;
      const next = { ...found, cookie: cookieOf(touch) };
      if (this.store.canTouch) await this.store.touch(handle, next);
      else await this.store.set(handle, next);
      return fromExpress(found);
    });
  }

  override update(handle: string, record: SessionRecord, base: SessionVersion, ttl: number): Promise<UpdateResult> {
    const next = toExpress(handle, record, ttl);
    return this.inTurn(handle, async (): Promise<UpdateResult> => {
      const found = asRecord(await this.store.get(handle));
      if (found === undefined) return { status: 'gone' };
      if (found.version !== base) return { status: 'conflict' };
      await this.store.set(handle, next);
      return { status: 'updated', version: next.version };
    });
  }

  override delete(handle: string, base?: SessionVersion): Promise<boolean> {
    return this.inTurn(handle, async () => {
      const found = await this.store.get(handle);
      if (found === undefined || (base !== undefined && asRecord(found)?.version !== base)) return false;
      await this.store.destroy(handle);
      return true;
    });
  }

  /** The store has no operation that reads and writes at once, so the operations of one session must not overlap. */
  private async inTurn<T>(handle: string, operation: () => Promise<T>): Promise<T> {
    const before = this.tails.get(handle);
    const mine = before === undefined ? operation() : before.then(operation, operation);
    this.tails.set(handle, mine);
    try {
      return await mine;
    } finally {
      if (this.tails.get(handle) === mine) this.tails.delete(handle);
    }
  }
}

/** For stores that have `all`. There is no index: every page reads all sessions. */
export class ListableExpressStoreRepository extends ExpressStoreRepository implements ListableSessionRepository {
  async list({ principal, cursor = '', limit }: ListQuery): Promise<RecordPage> {
    const found = (await this.records(principal)).filter(({ handle }) => handle > cursor);
    const records = found.sort((a, b) => (a.handle < b.handle ? -1 : 1)).slice(0, limit);
    return { records, cursor: found.length > limit ? records.at(-1)?.handle : undefined };
  }

  async count({ principal }: { principal?: string | undefined }): Promise<number> {
    return (await this.records(principal)).length;
  }

  private async records(principal: string | undefined): Promise<ListedRecord[]> {
    // Sessions of another application in the same store are not ours to list.
    const own = (await this.store.all()).filter(isRecord);
    const wanted = principal === undefined ? own : own.filter((record) => record.principal === principal);
    return wanted.map(toListed);
  }
}

function toExpress(handle: string, { payload, principal }: SessionRecord, ttl: number): ExpressRecord {
  return {
    cookie: cookieOf(ttl),
    handle,
    version: randomBytes(12).toString('base64url'),
    payload: Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString('base64'),
    ...(principal === undefined ? {} : { principal }),
  };
}

/** Some stores look at `expires`, some at `maxAge`, some at `originalMaxAge`. */
function cookieOf(ttl: number): ExpressStoreSession['cookie'] {
  const maxAge = Math.max(1, Math.ceil(ttl));
  return { originalMaxAge: maxAge, maxAge, expires: new Date(Date.now() + maxAge), path: '/', httpOnly: true };
}

function fromExpress(session: unknown): StoredRecord | undefined {
  const record = asRecord(session);
  return record && toStored(record);
}

function toStored({ payload, version, principal }: ExpressRecord): StoredRecord {
  return { payload: Buffer.from(payload, 'base64'), version, principal };
}

function toListed(record: ExpressRecord): ListedRecord {
  return { handle: record.handle, ...toStored(record) };
}

/** @throws UnreadableRecordError for a session that was not written here. */
function asRecord(session: unknown): ExpressRecord | undefined {
  if (session === undefined || isRecord(session)) return session;
  throw new UnreadableRecordError('it was not written by this repository');
}

function isRecord(session: unknown): session is ExpressRecord {
  if (typeof session !== 'object' || session === null) return false;
  const { handle, version, payload, principal } = session as Partial<Record<keyof ExpressRecord, unknown>>;
  const texts = [handle, version, payload, ...(principal === undefined || principal === null ? [] : [principal])];
  return texts.every((text) => typeof text === 'string');
}
