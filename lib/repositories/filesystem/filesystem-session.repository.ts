import { Logger } from '@nestjs/common';
import { resolve } from 'node:path';
import type { ResolvedSessionOptions } from '../../options/resolved-options.js';
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
import { FILESYSTEM_DEFAULTS, type FilesystemSessionOptions } from './filesystem.options.js';
import { Threshold } from './threshold.js';
import { VersionedFolder } from './versioned-folder.js';

/**
 * One folder a session, and in it one file a version (see `VersionedFolder`). No locks: several processes may share the folder,
 * and one that is killed at any moment blocks nobody and leaves no half-written session.
 */
export class FilesystemSessionRepository extends SessionRepository implements ListableSessionRepository {
  private readonly logger = new Logger('ServerSession');
  private readonly folder: VersionedFolder;
  private readonly threshold: Threshold;

  constructor(options: FilesystemSessionOptions = {}, { keyPrefix }: Pick<ResolvedSessionOptions, 'keyPrefix'>) {
    super();
    const { dir, threshold, mode } = { ...FILESYSTEM_DEFAULTS, ...options };
    this.folder = new VersionedFolder(resolve(dir, folderName(keyPrefix)), mode);
    this.threshold = new Threshold(threshold, this.folder, this.logger);
  }

  override async create(handle: string, record: SessionRecord, ttl: number): Promise<SessionVersion | undefined> {
    await this.threshold.makeRoom();
    const created = await this.folder.create(handle, FileRecord.encode(record), Date.now() + ttl);
    return created ? '1' : undefined;
  }

  override async read(handle: string, touch?: number): Promise<StoredRecord | undefined> {
    const file = await this.folder.read(handle);
    if (file === undefined || file.expiry <= Date.now()) return undefined;
    if (touch !== undefined) await this.folder.extend(handle, file.version, Date.now() + touch);
    return { ...FileRecord.decode(file.content), version: String(file.version), remaining: file.expiry - Date.now() };
  }

  override async update(handle: string, record: SessionRecord, base: SessionVersion, ttl: number): Promise<UpdateResult> {
    const status = await this.folder.replace(handle, Number(base), FileRecord.encode(record), Date.now() + ttl);
    return status === 'updated' ? { status, version: String(Number(base) + 1) } : { status };
  }

  override async delete(handle: string, base?: SessionVersion): Promise<boolean> {
    return base === undefined ? this.folder.remove(handle) : this.folder.removeVersion(handle, Number(base));
  }

  override async purgeExpired(): Promise<number> {
    return this.folder.purge(Date.now());
  }

  async list({ principal, cursor, limit }: ListQuery): Promise<RecordPage> {
    const records: ListedRecord[] = [];
    for await (const handle of this.folder.handles(cursor)) {
      if (records.length === limit) return { records, cursor: records.at(-1)?.handle };
      // What cannot be read is not listed; whoever has its id is told about it in the log.
      const record = await this.read(handle).catch(() => undefined);
      if (record !== undefined && (principal === undefined || record.principal === principal)) records.push({ handle, ...record });
    }
    return { records };
  }

  async count({ principal }: { principal?: string | undefined }): Promise<number> {
    let count = 0;
    for await (const handle of this.folder.handles()) {
      const record = await this.read(handle).catch(() => undefined);
      if (record !== undefined && (principal === undefined || record.principal === principal)) count++;
    }
    return count;
  }

  override async onModuleInit(): Promise<void> {
    await this.folder.open().catch((error: unknown) => {
      this.logger.error(`[ServerSession] the folder of the sessions cannot be made: ${String(error)}`);
    });
  }
}

/** The key prefix as the name of a folder, on every filesystem. */
function folderName(keyPrefix: string): string {
  return encodeURIComponent(keyPrefix).replaceAll('%', '_').replaceAll('*', '_2A').replaceAll('.', '_2E') || '_';
}
