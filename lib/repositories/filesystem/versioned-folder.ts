import { type FileHandle, link, lstat, mkdir, open, readdir, rename, rm, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isErrno, orUndefined } from './errno.js';
import { TemporaryFolder } from './temporary-folder.js';
import { expiryOf, listVersions, removeSuperseded, settledPath, versionPath, WRITER_PATIENCE } from './version-files.js';

/** The newest version of a handle. */
export interface VersionFile {
  readonly version: number;
  readonly content: Buffer;
  /** Epoch milliseconds. */
  readonly expiry: number;
}

/** Longer than a shard's name, so never one. */
const TEMPORARY = 'tmp';
/** An empty file that has expired. */
const TOMBSTONE = 'tombstone';
const SHARD_LENGTH = 2;

/**
 * Files with versions, changed by compare-and-swap, without locks.
 *
 * A handle is a folder `ab/abcd…/`, and a version is a file in it named by its number; the highest one counts. What makes this
 * safe between processes is that the system does three things atomically:
 *
 * - **create** renames a folder that holds version 1 to the handle's name: it fails if that exists.
 * - **replace** n by n+1 links a finished file to the name n+1: it fails if another process was first.
 * - **remove** renames the folder away: whoever still wants to link into it finds nothing. A remove of version n alone links
 *   the tombstone to the name n+1 before, so it needs no room on the disk.
 *
 * A file is complete before it has its name, so no reader sees half of one, and a process that dies leaves at most a file in
 * `tmp` or a superseded version, which later writers and the purge take.
 *
 * One thing is left to tell apart: a writer that comes too late, when n and the first n+1 are long gone, can link another n+1.
 * Hence only the writer of n+1 removes n, after it has looked around: if the very n that it was based on is still there, or
 * nothing newer than its own, it has succeeded. Others leave n alone until that writer must be dead. So removals have an order,
 * which `removeSuperseded` keeps. A writer holds its n open meanwhile, so that no other file can be taken for it.
 *
 * The expiry of a session is the modification time of its file: a purge reads no file, and a touch writes none.
 */
export class VersionedFolder {
  private readonly temporary: TemporaryFolder;
  private readonly folderMode: number;

  /** @param mode of the files. Whoever may read them may enter their folders. */
  constructor(
    private readonly root: string,
    mode: number,
  ) {
    this.folderMode = mode | ((mode & 0o444) >> 2);
    this.temporary = new TemporaryFolder(join(root, TEMPORARY), mode, this.folderMode);
  }

  async open(): Promise<void> {
    await this.temporary.open();
    // While there is room: a remove must not need any.
    await this.tombstone();
  }

  async create(handle: string, content: Buffer, expiry: number): Promise<boolean> {
    const folder = this.folderOf(handle);
    const draft = await this.temporary.writeFolder('1', content, expiry);
    try {
      await mkdir(dirname(folder), { recursive: true, mode: this.folderMode });
      return (await moveTo(folder, draft)) || ((await this.removeExpired(folder)) && (await moveTo(folder, draft)));
    } finally {
      await rm(draft, { recursive: true, force: true });
    }
  }

  async read(handle: string): Promise<VersionFile | undefined> {
    const folder = this.folderOf(handle);
    // A version may be superseded between looking and opening; then another process succeeded, so this ends.
    for (;;) {
      const version = (await listVersions(folder)).plain.at(-1);
      if (version === undefined) return undefined;
      const file = await orUndefined('ENOENT', open(versionPath(folder, version)));
      if (file === undefined) continue;
      try {
        const { mtimeMs } = await file.stat();
        return { version, content: await file.readFile(), expiry: mtimeMs };
      } finally {
        await file.close();
      }
    }
  }

  /** Gives a version a later expiry, if it is still there. */
  async extend(handle: string, version: number, expiry: number): Promise<void> {
    await orUndefined('ENOENT', utimes(versionPath(this.folderOf(handle), version), new Date(), new Date(expiry)));
  }

  async replace(handle: string, base: number, content: Buffer, expiry: number): Promise<'updated' | 'conflict' | 'gone'> {
    const folder = this.folderOf(handle);
    // Opened before looking: if it is the newest afterwards, it is no late writer's file.
    const held = await orUndefined('ENOENT', open(versionPath(folder, base)));
    try {
      const latest = (await listVersions(folder)).plain.at(-1);
      const end = latest === base && held ? (await held.stat()).mtimeMs : await expiryOf(folder);
      if (end === undefined || end <= Date.now()) return 'gone';
      if (latest !== base || held === undefined) return 'conflict';
      const draft = await this.temporary.writeFile(content, expiry);
      return await this.follow(folder, base, held, draft).finally(() => rm(draft, { force: true }));
    } finally {
      await held?.close();
    }
  }

  /** @returns whether there was something that had not expired. */
  async remove(handle: string): Promise<boolean> {
    const grave = await this.bury(this.folderOf(handle));
    if (grave === undefined) return false;
    const expiry = await expiryOf(grave);
    await rm(grave, { recursive: true, force: true });
    return expiry !== undefined && expiry > Date.now();
  }

  /** Removes a handle if `base` is still its newest version, and has not expired. */
  async removeVersion(handle: string, base: number): Promise<boolean> {
    const folder = this.folderOf(handle);
    const held = await orUndefined('ENOENT', open(versionPath(folder, base)));
    try {
      if (held === undefined || (await held.stat()).mtimeMs <= Date.now()) return false;
      if ((await listVersions(folder)).plain.at(-1) !== base) return false;
      try {
        if ((await this.follow(folder, base, held, await this.tombstone())) !== 'updated') return false;
      } catch (error) {
        if (!isErrno(error, 'ENOSPC', 'EDQUOT')) throw error;
        // Not even a name has room here, so no process can write a newer version meanwhile.
        return (await listVersions(folder)).plain.at(-1) === base && (await this.remove(handle));
      }
      await this.removeExpired(folder);
      return true;
    } finally {
      await held?.close();
    }
  }

  /** All handles after `cursor`, in order, a shard at a time. */
  async *handles(cursor = ''): AsyncGenerator<string> {
    for (const shard of await foldersIn(this.root)) {
      if (shard.length > SHARD_LENGTH || shard < cursor.slice(0, SHARD_LENGTH)) continue;
      for (const handle of await foldersIn(join(this.root, shard))) if (handle > cursor) yield handle;
    }
  }

  /** When a handle expires; undefined where there is none. Opens no file. */
  async expiryOf(handle: string): Promise<number | undefined> {
    return expiryOf(this.folderOf(handle));
  }

  /** Removes what has expired, and what crashes have left. Opens no file. */
  async purge(now: number): Promise<number> {
    let removed = 0;
    for await (const handle of this.handles()) {
      const folder = this.folderOf(handle);
      const expiry = await expiryOf(folder);
      // A writer that found the session alive may still be at work just after its end.
      if (expiry !== undefined && expiry <= now - WRITER_PATIENCE) {
        const grave = await this.bury(folder);
        if (grave === undefined) continue;
        await rm(grave, { recursive: true, force: true });
        removed++;
      } else await removeSuperseded(folder, await listVersions(folder));
    }
    await this.temporary.purge(now);
    return removed;
  }

  /** The path of an empty file that has expired. */
  private async tombstone(): Promise<string> {
    const path = join(this.root, TOMBSTONE);
    if ((await orUndefined('ENOENT', lstat(path))) === undefined) await rename(await this.temporary.writeFile(Buffer.alloc(0), 0), path);
    return path;
  }

  /** Lets a finished file follow `base`, if it is the first to do so. */
  private async follow(folder: string, base: number, held: FileHandle, draft: string): Promise<'updated' | 'conflict' | 'gone'> {
    const next = versionPath(folder, base + 1);
    try {
      await link(draft, next);
      const versions = await listVersions(folder);
      if (versions.plain.length === 0) return 'gone';
      if (versions.plain.at(-1) === base + 1 || (await isInTime(folder, base, held, draft))) {
        await removeSuperseded(folder, versions, base);
        return 'updated';
      }
      // What was linked is below the current version, and nobody has seen it.
      await rm(next, { force: true });
      return 'conflict';
    } catch (error) {
      if (isErrno(error, 'EEXIST')) return 'conflict';
      // The folder was renamed away meanwhile. (The draft cannot be what is missing: it was just written.)
      if (isErrno(error, 'ENOENT') && (await listVersions(folder)).plain.length === 0) return 'gone';
      throw error;
    }
  }

  /** Makes room for another session of the same handle. False if the one that is there lives. */
  private async removeExpired(folder: string): Promise<boolean> {
    const hasEnded = (expiry: number | undefined): boolean => expiry === undefined || expiry <= Date.now();
    if (!hasEnded(await expiryOf(folder))) return false;
    const grave = await this.bury(folder);
    if (grave === undefined) return true;
    // Another process may have done all this a moment before: then it is its new session that lies here.
    const isOver = hasEnded(await expiryOf(grave));
    if (!isOver) await moveTo(folder, grave);
    await rm(grave, { recursive: true, force: true });
    return isOver;
  }

  /** Takes a folder out of everybody's sight. Undefined if it is not there. */
  private async bury(folder: string): Promise<string | undefined> {
    const grave = this.temporary.newPath();
    const move = (): Promise<string | undefined> =>
      orUndefined(
        'ENOENT',
        rename(folder, grave).then(() => grave),
      );
    const moved = await move();
    if (moved !== undefined) return moved;
    // What is missing may be the folder for the grave, cleaned away by hand.
    await this.temporary.open();
    return move();
  }

  /** Two characters of the handle spread the folders. */
  private folderOf(handle: string): string {
    return join(this.root, handle.slice(0, SHARD_LENGTH), handle);
  }
}

/** Whether a version that was linked after `base`, and is not the newest any more, was the first one after it. */
async function isInTime(folder: string, base: number, held: FileHandle, draft: string): Promise<boolean> {
  const numberOf = async (path: string): Promise<bigint | undefined> => (await orUndefined('ENOENT', lstat(path, { bigint: true })))?.ino;
  // In this order: a settled successor is removed after its base.
  const successor = await numberOf(settledPath(folder, base + 1));
  if (successor !== undefined && successor !== (await numberOf(draft))) return false;
  // While it is open, no other file gets its number.
  return (await held.stat({ bigint: true })).ino === (await numberOf(versionPath(folder, base)));
}

/** Renames a folder, unless there is one of that name with something in it. */
async function moveTo(target: string, folder: string): Promise<boolean> {
  try {
    await rename(folder, target);
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOTEMPTY', 'EEXIST')) return false;
    // Windows' answer for the same.
    if (isErrno(error, 'EPERM') && (await orUndefined('ENOENT', lstat(target))) !== undefined) return false;
    throw error;
  }
}

/** The names of the folders in a folder, in order. */
async function foldersIn(path: string): Promise<string[]> {
  const entries = (await orUndefined(['ENOENT', 'ENOTDIR'], readdir(path, { withFileTypes: true }))) ?? [];
  return entries
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort();
}
