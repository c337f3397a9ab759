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
import { connectionFinder } from './mongodb-connection.js';
import { MONGODB_DEFAULTS } from './mongodb.options.js';
import { type OpenCollection, SessionCollection } from './session-collection.js';
import { expired, type Filter, fromDocument, idsUnder, live, type SessionDocument, toChange, toDocument } from './session-document.js';
import { SessionIndexes } from './session-indexes.js';

const DUPLICATE_KEY = 11_000;
const PURGE_BATCH = 1000;
/** How many times `storeTimeout` a count may take. */
const COUNT_PATIENCE = 10;

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
    const sessions = new SessionCollection(await connectionFinder(context), collection, storeTimeout);
    return new MongodbSessionRepository(sessions, keyPrefix, storeTimeout, createIndexes);
  }

  /** @throws SessionOptionsError when the application has no connection of the given name. */
  override onModuleInit(): void {
    this.collection.locate();
    this.indexes?.start();
  }

  override create(handle: string, record: SessionRecord, ttl: number): Promise<SessionVersion | undefined> {
    return this.collection.run(async (collection) => {
      const { sessions, now, limits } = collection;
      const document = toDocument(this.prefix + handle, record, expiry(now, ttl));
      const version = String(document.version);
      if (await inserted(collection, document)) return version;
      // What is in the way may have expired, and only not been removed yet.
      const { deletedCount } = await sessions.deleteOne(expired(document._id, now), limits);
      return deletedCount > 0 && (await inserted(collection, document)) ? version : undefined;
    });
  }

  override read(handle: string, touch?: number): Promise<StoredRecord | undefined> {
    return this.collection.run(async ({ sessions, now, limits }) => {
      const filter = live(this.prefix + handle, now);
      const found =
        touch === undefined
          ? await sessions.findOne(filter, limits)
          : await sessions.findOneAndUpdate(
              filter,
              { $set: { expiresAt: expiry(now, touch) } },
              { ...limits, returnDocument: 'before', includeResultMetadata: false },
            );
      return found === null ? undefined : fromDocument(found, now);
    });
  }

  override update(handle: string, record: SessionRecord, base: SessionVersion, ttl: number): Promise<UpdateResult> {
    return this.collection.run(async ({ sessions, now, limits }) => {
      const filter = live(this.prefix + handle, now);
      const version = Number(base) + 1;
      const change = toChange(record, version, expiry(now, ttl));
      const { matchedCount } = await sessions.updateOne({ ...filter, version: Number(base) }, change, limits);
      if (matchedCount > 0) return { status: 'updated', version: String(version) };
      const current = await sessions.findOne(filter, { ...limits, projection: { _id: 1 } });
      return { status: current === null ? 'gone' : 'conflict' };
    });
  }

  override delete(handle: string, base?: SessionVersion): Promise<boolean> {
    return this.collection.run(async ({ sessions, now, limits }) => {
      const _id = this.prefix + handle;
      if (base !== undefined) {
        // Of one document, though not with deleteOne: servers that only speak MongoDB's protocol may compare before they lock there.
        return (await sessions.deleteMany({ ...live(_id, now), version: Number(base) }, limits)).deletedCount > 0;
      }
      const { deletedCount } = await sessions.deleteOne(live(_id, now), limits);
      if (deletedCount > 0) return true;
      // What looks expired goes, too: the clock of another process may differ, and there it would live on.
      await sessions.deleteOne({ _id }, limits);
      return false;
    });
  }

  list({ principal, cursor, limit }: ListQuery): Promise<RecordPage> {
    return this.collection.run(async ({ sessions, now, limits }) => {
      const documents = await sessions
        .find(this.listed(now, principal, cursor), limits)
        .sort({ _id: 1 })
        .limit(limit + 1)
        .maxTimeMS(this.timeout)
        .toArray();
      const page = documents.slice(0, limit);
      const last = documents.length > limit ? page.at(-1) : undefined;
      return { records: page.flatMap((document) => this.toListed(document, now)), cursor: last && this.handleOf(last) };
    });
  }

  count({ principal }: { readonly principal?: string | undefined }): Promise<number> {
    const timeout = COUNT_PATIENCE * this.timeout;
    return this.collection.run(
      ({ sessions, now, limits }) => sessions.countDocuments(this.listed(now, principal), { ...limits, maxTimeMS: timeout }),
      timeout,
    );
  }

  /** For servers that do not remove expired documents themselves; for the others it finds next to nothing. */
  override async purgeExpired(): Promise<number> {
    let removed = 0;
    for (;;) {
      const batch = await this.collection.run(async ({ sessions, now, limits }) => {
        const outdated = sessions.find(expired(idsUnder(this.prefix), now), { ...limits, projection: { _id: 1 } });
        const ids = (await outdated.limit(PURGE_BATCH).toArray()).map(({ _id }) => _id);
        if (ids.length > 0) removed += (await sessions.deleteMany(expired({ $in: ids }, now), limits)).deletedCount;
        return ids.length;
      });
      if (batch < PURGE_BATCH) return removed;
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
async function inserted({ sessions, limits }: OpenCollection, document: SessionDocument): Promise<boolean> {
  try {
    await sessions.insertOne(document, limits);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === DUPLICATE_KEY) return false;
    throw error;
  }
}
