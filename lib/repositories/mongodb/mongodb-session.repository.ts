import { UnreadableRecordError } from '../../errors.js';
import type { RepositoryContext } from '../repository.factory.js';
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
import { connectionFinder } from './connection-finder.js';
import { MONGODB_DEFAULTS } from './mongodb.options.js';
import type { Collection, SessionDocument } from './mongodb.types.js';
import { SessionCollection } from './session-collection.js';
import { fromDocument, toChange, toDocument } from './session-document.js';
import { expired, type Filter, idsUnder, live } from './session-filters.js';
import { SessionIndexes } from './session-indexes.js';

const DUPLICATE_KEY = 11_000;
const PURGE_BATCH = 1000;

/**
 * One document a session. Every change names the version it is based on, nothing upserts, and every filter has the expiry in
 * it, because the server removes expired documents late.
 */
export class MongodbSessionRepository extends SessionRepository implements ListableSessionRepository {
  private readonly indexes: SessionIndexes | undefined;

  private constructor(
    private readonly collection: SessionCollection,
    private readonly prefix: string,
    private readonly timeout: number,
    createIndexes: boolean,
  ) {
    super();
    if (createIndexes) this.indexes = new SessionIndexes(collection);
  }

  /** @throws MissingPackageError when mongoose, or @nestjs/mongoose where it is needed, is not installed. */
  static async create(context: RepositoryContext): Promise<MongodbSessionRepository> {
    const { mongodb, keyPrefix, storeTimeout } = context.options;
    const { collection, createIndexes } = { ...MONGODB_DEFAULTS, ...mongodb };
    const sessions = new SessionCollection(await connectionFinder(context), collection);
    return new MongodbSessionRepository(sessions, keyPrefix, storeTimeout, createIndexes);
  }

  /** @throws SessionOptionsError when the application has no connection of the given name. */
  override onModuleInit(): void {
    this.collection.locate();
    this.indexes?.start();
  }

  override async create(handle: string, record: SessionRecord, ttl: number): Promise<SessionVersion | undefined> {
    const { sessions, now } = await this.collection.open();
    const document = toDocument(this.prefix + handle, record, expiry(now, ttl));
    const version = String(document.version);
    if (await inserted(sessions, document)) return version;
    // What is in the way may have expired, and only not been removed yet.
    const { deletedCount } = await sessions.deleteOne(expired(document._id, now));
    return deletedCount > 0 && (await inserted(sessions, document)) ? version : undefined;
  }

  override async read(handle: string, touch?: number): Promise<StoredRecord | undefined> {
    const { sessions, now } = await this.collection.open();
    const filter = live(this.prefix + handle, now);
    const found =
      touch === undefined
        ? await sessions.findOne(filter)
        : await sessions.findOneAndUpdate(
            filter,
            { $set: { expiresAt: expiry(now, touch) } },
            { returnDocument: 'before', includeResultMetadata: false },
          );
    return found === null ? undefined : fromDocument(found, now);
  }

  override async update(handle: string, record: SessionRecord, base: SessionVersion, ttl: number): Promise<UpdateResult> {
    const { sessions, now } = await this.collection.open();
    const filter = live(this.prefix + handle, now);
    const version = Number(base) + 1;
    const { matchedCount } = await sessions.updateOne({ ...filter, version: Number(base) }, toChange(record, version, expiry(now, ttl)));
    if (matchedCount > 0) return { status: 'updated', version: String(version) };
    const current = await sessions.findOne(filter, { projection: { _id: 1 } });
    return { status: current === null ? 'gone' : 'conflict' };
  }

  override async delete(handle: string, base?: SessionVersion): Promise<boolean> {
    const { sessions, now } = await this.collection.open();
    const _id = this.prefix + handle;
    if (base !== undefined) {
      // Of one document, though not with deleteOne: servers that only speak MongoDB's protocol may compare before they lock there.
      return (await sessions.deleteMany({ ...live(_id, now), version: Number(base) })).deletedCount > 0;
    }
    const { deletedCount } = await sessions.deleteOne(live(_id, now));
    if (deletedCount > 0) return true;
    // What looks expired goes, too: the clock of another process may differ, and there it would live on.
    await sessions.deleteOne({ _id });
    return false;
  }

  async list({ principal, cursor, limit }: ListQuery): Promise<RecordPage> {
    const { sessions, now } = await this.collection.open();
    const documents = await sessions
      .find(this.listed(now, principal, cursor))
      .sort({ _id: 1 })
      .limit(limit + 1)
      .maxTimeMS(this.timeout)
      .toArray();
    const page = documents.slice(0, limit);
    const last = documents.length > limit ? page.at(-1) : undefined;
    return { records: page.flatMap((document) => this.toListed(document, now)), cursor: last && this.handleOf(last) };
  }

  async count({ principal }: { readonly principal?: string | undefined }): Promise<number> {
    const { sessions, now } = await this.collection.open();
    return sessions.countDocuments(this.listed(now, principal), { maxTimeMS: this.timeout });
  }

  /** For servers that do not remove expired documents themselves; for the others it finds next to nothing. */
  override async purgeExpired(): Promise<number> {
    let removed = 0;
    for (;;) {
      const { sessions, now } = await this.collection.open();
      const outdated = sessions.find(expired(idsUnder(this.prefix), now), { projection: { _id: 1 } });
      const batch = await outdated.limit(PURGE_BATCH).toArray();
      if (batch.length > 0) {
        const ids = batch.map(({ _id }) => _id);
        removed += (await sessions.deleteMany(expired({ $in: ids }, now))).deletedCount;
      }
      if (batch.length < PURGE_BATCH) return removed;
    }
  }

  override onApplicationShutdown(): Promise<void> {
    this.indexes?.stop();
    return this.collection.close();
  }

  private listed(now: number, principal: string | undefined, after?: string): Filter {
    const filter = live(idsUnder(this.prefix, after === undefined ? after : onlyString(after)), now);
    return principal === undefined ? filter : { principal: { $eq: onlyString(principal) }, ...filter };
  }

  /** None for a document that is no session: one of them must not hide the others. */
  private toListed(document: SessionDocument, now: number): ListedRecord[] {
    try {
      return [{ handle: this.handleOf(document), ...fromDocument(document, now) }];
    } catch (error) {
      if (error instanceof UnreadableRecordError) return [];
      throw error;
    }
  }

  private handleOf({ _id }: SessionDocument): string {
    return _id.slice(this.prefix.length);
  }
}

function expiry(now: number, ttl: number): Date {
  return new Date(now + Math.max(1, Math.ceil(ttl)));
}

/** An object in a query would be an operator, as in `{ $ne: null }`, which finds everybody. @throws TypeError for what is no string. */
function onlyString(value: unknown): string {
  if (typeof value === 'string') return value;
  throw new TypeError(
    `[ServerSession] MongoDB: a principal or a cursor is a string, and ${value === null ? 'null' : typeof value} was given`,
  );
}

/** @returns false where there is a document of this id. */
async function inserted(sessions: Collection, document: SessionDocument): Promise<boolean> {
  try {
    await sessions.insertOne(document);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === DUPLICATE_KEY) return false;
    throw error;
  }
}
