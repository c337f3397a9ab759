import { SessionLogger } from '../../common/session-logger.js';
import { join, resolve } from 'node:path';
import { OutageLog } from '../../common/outage-log.js';
import { reasonOf, UnreadableRecordError } from '../../errors.js';
import type { RepositoryOptions } from '../repository.factory.js';
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
import { FileRecord } from './file-record.js';
import { inParallel } from './files.js';
import { FILESYSTEM_DEFAULTS, type FilesystemSessionOptions } from './filesystem.options.js';
import { byAge, type IndexEntry, PrincipalIndex } from './principal-index.js';
import { folderNameOf, refuseForeignFolder } from './session-folder.js';
import { Threshold } from './threshold.js';
import { WRITER_PATIENCE } from './version-files.js';
import { folderModeOf, VersionedFolder } from './versioned-folder.js';

/** Sessions that a listing reads at the same time. */
const PARALLEL = 8;
/** Clocks of filesystems are coarse, and a writer may be slow: what changed so long before a walk, in milliseconds, is looked at again. */
const OVERLAP = 60_000;
/** When processes of an older version may have written for so long, in milliseconds, all entries of the index are checked. */
const UNKNOWN_AFTER = 3_600_000;
/** Counting all may take so many times `storeTimeout`, as `SessionService` waits for it. */
const COUNT_PATIENCE = 10;

/**
 * One folder a session, and in it one file a version (see `VersionedFolder`). No locks: several processes may share the folder,
 * and one that is killed at any moment blocks no other and leaves no half-written session.
 */
export class FilesystemSessionRepository extends SessionRepository implements ListableSessionRepository {
  private readonly logger = new SessionLogger();
  private readonly walks = new OutageLog('the walk over the session folder', null);
  private readonly dir: string;
  private readonly root: string;
  private readonly mode: number;
  private readonly storeTimeout: number;
  private readonly folder: VersionedFolder;
  private readonly index: PrincipalIndex;
  private readonly threshold: Threshold;
  private walking: Promise<number> | undefined;
  private isClosed = false;

  constructor(
    options: FilesystemSessionOptions = {},
    { keyPrefix, storeTimeout = 2_000 }: Pick<RepositoryOptions, 'keyPrefix'> & Partial<Pick<RepositoryOptions, 'storeTimeout'>>,
  ) {
    super();
    const { dir, threshold, mode } = { ...FILESYSTEM_DEFAULTS, ...options };
    this.dir = resolve(dir);
    this.root = join(this.dir, folderNameOf(keyPrefix));
    this.mode = mode;
    this.storeTimeout = storeTimeout;
    this.folder = new VersionedFolder(this.root, mode);
    this.index = new PrincipalIndex(this.root, mode, folderModeOf(mode));
    this.threshold = new Threshold(threshold, {
      expiryOf: (handle) => this.folder.expiryOf(handle),
      remove: (handle) => this.remove(handle),
      recount: async () => void (await this.walk()),
    });
  }

  override async create(handle: string, record: SessionRecord, ttl: number): Promise<SessionVersion | undefined> {
    await this.threshold.makeRoom(handle);
    const expiry = Date.now() + ttl;
    const key = PrincipalIndex.keyOf(record.principal);
    let isCreated = false;
    try {
      if (key !== undefined) await this.index.add(key, handle);
      isCreated = await this.folder.create(handle, FileRecord.encode(record), expiry);
    } finally {
      this.threshold.settle(handle, isCreated ? expiry : undefined);
    }
    // Again: a reader that found the entry without its session, a minute ago, may have removed it.
    if (isCreated && key !== undefined) await this.index.ensure(key, handle);
    return isCreated ? versionOf(1, key) : undefined;
  }

  override async read(handle: string, touch?: number): Promise<StoredRecord | undefined> {
    const file = await this.folder.read(handle);
    if (file === undefined || file.expiry <= Date.now()) return undefined;
    if (touch !== undefined) await this.folder.extend(handle, file.version, Date.now() + touch);
    const record = FileRecord.decode(file.content);
    const version = versionOf(file.version, PrincipalIndex.keyOf(record.principal));
    return { ...record, version, remaining: file.expiry - Date.now() };
  }

  override async update(handle: string, record: SessionRecord, base: SessionVersion, ttl: number): Promise<UpdateResult> {
    const { number, key: before } = parseVersion(base);
    const key = PrincipalIndex.keyOf(record.principal);
    const isNew = key !== undefined && key !== before;
    if (isNew) await this.index.add(key, handle);
    const status = await this.folder.replace(handle, number, FileRecord.encode(record), Date.now() + ttl);
    if (status !== 'updated') return { status };
    if (isNew) await this.index.ensure(key, handle);
    if (before !== undefined && before !== key) await this.index.remove(before, handle);
    return { status, version: versionOf(number + 1, key) };
  }

  override async delete(handle: string, base?: SessionVersion): Promise<boolean> {
    if (base === undefined) {
      let removed: 'alive' | 'expired' | undefined;
      await this.threshold.ending(handle, async () => (removed = await this.remove(handle)) !== undefined);
      return removed === 'alive';
    }
    const { number, key } = parseVersion(base);
    const isDeleted = await this.threshold.ending(handle, () => this.folder.removeVersion(handle, number));
    if (isDeleted && key !== undefined) await this.index.remove(key, handle);
    return isDeleted;
  }

  override async purgeExpired(): Promise<number> {
    // One that is under way has passed what has expired since.
    await this.walking?.catch(() => undefined);
    return this.walk();
  }

  async list({ principal, cursor, limit }: ListQuery): Promise<RecordPage> {
    const check = this.deadline(this.storeTimeout);
    if (principal !== undefined) return this.listPrincipal(principal, cursor, limit, check);
    const records: ListedRecord[] = [];
    let last: string | undefined;
    for await (const handles of this.folder.handles(check, cursor)) {
      for (let start = 0; start < handles.length;) {
        if (records.length >= limit) return { records, cursor: last };
        const batch = handles.slice(start, (start += limit - records.length));
        for (const record of await this.readAll(batch, check)) if (record) records.push(record);
        last = batch.at(-1);
      }
    }
    return { records };
  }

  async count({ principal }: { principal?: string | undefined }): Promise<number> {
    const check = this.deadline(COUNT_PATIENCE * this.storeTimeout);
    if (principal !== undefined) return (await this.listPrincipal(principal, undefined, Infinity, check)).records.length;
    let count = 0;
    for await (const handles of this.folder.handles(check)) {
      await inParallel(handles, PARALLEL, async (handle) => {
        check();
        const expiry = await this.folder.expiryOf(handle);
        if (expiry !== undefined && expiry > Date.now()) count++;
      });
    }
    return count;
  }

  override async onModuleInit(): Promise<void> {
    await refuseForeignFolder(this.dir, this.root, this.mode);
    try {
      await this.folder.open();
    } catch (error) {
      this.logger.error(`the session folder '${this.dir}' (option 'filesystem.dir') cannot be made: ${reasonOf(error)}`);
      return;
    }
    // Sessions of an older version have no index yet; it is made before a client asks for it.
    if ((await this.index.completeSince()) === undefined) this.walk().catch(() => undefined);
  }

  override onApplicationShutdown(): void {
    this.isClosed = true;
  }

  /** By the index, in the order in which the sessions became the principal's: what comes meanwhile comes last. */
  private async listPrincipal(principal: string, cursor: string | undefined, limit: number, check: () => void): Promise<RecordPage> {
    if ((await this.index.completeSince()) === undefined) await this.walk();
    const key = PrincipalIndex.keyOf(principal) as string;
    const records: ListedRecord[] = [];
    const seen = new Set<string>();
    const start = cursor === undefined ? undefined : parseCursor(cursor);
    for (;;) {
      const isNext = (entry: IndexEntry): boolean => !seen.has(entry.handle) && (start === undefined || byAge(entry, start) > 0);
      const entries = (await this.index.entries(key)).filter(isNext);
      const batch = entries.slice(0, limit - records.length);
      const found = await this.readAll(
        batch.map(({ handle }) => handle),
        check,
      );
      let isStale = false;
      for (const [index, entry] of batch.entries()) {
        const record = found[index];
        seen.add(entry.handle);
        if (record?.principal === principal) records.push(record);
        else {
          isStale = true;
          await this.index.heal(key, entry);
        }
      }
      // A session that got a new id while its page was read has left the index, and the new one came after the index was read.
      const last = batch.at(-1);
      if (last === undefined || (entries.length === batch.length && !isStale)) return { records };
      if (records.length >= limit) return { records, cursor: cursorOf(last) };
    }
  }

  /** Undefined for what is not there, or cannot be read as a session: a client that has its id is told about it in the log. */
  private async readAll(handles: readonly string[], check: () => void): Promise<(ListedRecord | undefined)[]> {
    const records: (ListedRecord | undefined)[] = handles.map(() => undefined);
    await inParallel(handles, PARALLEL, async (handle, index) => {
      check();
      const record = await this.read(handle).catch((error: unknown) => {
        if (error instanceof UnreadableRecordError) return undefined;
        throw error;
      });
      records[index] = record && { handle, ...record };
    });
    return records;
  }

  private async remove(handle: string): Promise<'alive' | 'expired' | undefined> {
    const removed = await this.folder.remove(handle);
    if (removed === undefined) return undefined;
    const key = PrincipalIndex.keyOf(FileRecord.principalOf(removed.head));
    if (key !== undefined) await this.index.remove(key, handle);
    return removed.wasAlive ? 'alive' : 'expired';
  }

  /**
   * One walk over all sessions, for all that needs one: it removes what has expired, counts the rest for the threshold, and completes the
   * index.
   *
   * @returns how many sessions it has removed.
   */
  private walk(): Promise<number> {
    this.walking ??= this.walkOnce().then(
      (removed) => {
        this.walking = undefined;
        this.walks.recovered();
        return removed;
      },
      (error: unknown) => {
        this.walking = undefined;
        if (!this.isClosed) this.walks.failed(`the session folder cannot be walked: ${reasonOf(error)}`);
        throw error;
      },
    );
    return this.walking;
  }

  private async walkOnce(): Promise<number> {
    const begin = Date.now();
    const check = this.deadline(Infinity);
    const completeSince = (await this.index.completeSince()) ?? -Infinity;
    let removed = 0;
    this.threshold.begin();
    await this.folder.walk(check, async ({ handle, expiry, changedAt }) => {
      // A writer that found the session alive may still be at work just after its end.
      if (expiry <= begin - WRITER_PATIENCE) {
        if ((await this.remove(handle)) !== undefined) removed++;
        return;
      }
      this.threshold.add(handle, expiry);
      if (changedAt < completeSince - OVERLAP) return;
      const key = PrincipalIndex.keyOf(FileRecord.principalOf(await this.folder.headOf(handle)));
      if (key !== undefined) await this.index.ensure(key, handle);
    });
    if (begin - completeSince > UNKNOWN_AFTER) await this.checkIndex(check);
    await this.index.markComplete(begin);
    this.threshold.complete();
    return removed;
  }

  /** Removes the entries whose sessions have gone without them. */
  private async checkIndex(check: () => void): Promise<void> {
    for await (const { key, entry } of this.index.all(check))
      if ((await this.folder.expiryOf(entry.handle)) === undefined) await this.index.heal(key, entry);
  }

  /** A check that throws after so many milliseconds, when no caller waits any more, and when the application has ended. */
  private deadline(milliseconds: number): () => void {
    const end = performance.now() + milliseconds;
    return () => {
      if (this.isClosed) throw new Error('the application has ended');
      if (performance.now() > end) throw new Error(`the sessions could not be read within ${milliseconds} ms`);
    };
  }
}

/** With the key of its principal, so that an update knows what the index says without reading the record before. */
function versionOf(number: number, key: string | undefined): SessionVersion {
  return key === undefined ? String(number) : `${number}.${key}`;
}

function parseVersion(version: SessionVersion): { number: number; key: string | undefined } {
  const [number, key] = version.split('.', 2);
  return { number: Number(number), key };
}

function cursorOf({ since, handle }: IndexEntry): string {
  return `${since}.${handle}`;
}

function parseCursor(cursor: string): IndexEntry {
  const [since = '', handle = ''] = cursor.split('.', 2);
  return { since: Number(since), handle };
}
