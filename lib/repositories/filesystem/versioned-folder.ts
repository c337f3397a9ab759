import { constants } from 'node:fs';
import { dirname, join } from 'node:path';
import { files, inParallel, isErrno, orUndefined } from './files.js';
import { TemporaryFolder } from './temporary-folder.js';
import { listVersions, newestOf, removeSuperseded, settledPath, versionPath, type VersionStat } from './version-files.js';

/** The newest version of a handle. */
export interface VersionFile {
  readonly version: number;
  readonly content: Buffer;
  /** Epoch milliseconds. */
  readonly expiry: number;
}

/** A handle that a walk came by. */
export interface WalkedHandle extends VersionStat {
  readonly handle: string;
}

/** What was removed. */
export interface RemovedFile {
  /** Whether it had not expired. */
  readonly wasAlive: boolean;
  /** The beginning of its content. */
  readonly head: Buffer;
}

/** What tells a file from all others, also from a later one that got the same number. */
interface Identity {
  readonly ino: bigint;
  readonly birthtimeNs: bigint;
}

/** Longer than a shard's name, so never one. */
const TEMPORARY = 'tmp';
/** An empty file that has expired. */
const TOMBSTONE = 'tombstone';
const SHARD_LENGTH = 2;
const HEAD_LENGTH = 4_096;
/** Handles that a walk looks at at the same time: as many as the system calls that Node makes at the same time, so others wait for one. */
const WALK_WIDTH = 4;
/** A pipe that somebody put in the place of a session must not hold the reader up. */
const READ = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

/**
 * Files with versions, changed by compare-and-swap, without locks.
 *
 * A handle is a folder `ab/abcd…/`, and a version is a file in it named by its number; the highest one counts. What makes this
 * safe between processes is that the system does three things atomically:
 *
 * - **create** renames a folder that holds version 1 to the handle's name: it fails if that exists.
 * - **replace** n by n+1 links a finished file to the name n+1: it fails if another process was first.
 * - **remove** renames the folder away: a writer that still wants to link into it finds nothing. A remove of version n alone
 *   links the tombstone to the name n+1 before, so it needs no room on the disk.
 *
 * A file is complete and flushed before it has its name, so no reader sees half of one, also after a power failure; a process that dies
 * leaves at most a file in `tmp` or a superseded version, which later writers and the walks take.
 *
 * One thing is left to tell apart: a writer that comes too late, when n and the first n+1 are long gone, can link another n+1.
 * Hence only the writer of n+1 removes n, after it has looked around: if the very n that it was based on is still there, or
 * nothing newer than its own, it has succeeded. Others leave n alone until that writer must be dead. So removals have an order,
 * which `removeSuperseded` keeps.
 *
 * The expiry of a session is the modification time of its file: a walk reads no file, and a touch writes none.
 */
export class VersionedFolder {
  private readonly temporary: TemporaryFolder;
  private readonly folderMode: number;

  /** @param mode of the files. Users who may read them may enter their folders. */
  constructor(
    private readonly root: string,
    mode: number,
  ) {
    this.folderMode = folderModeOf(mode);
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
      const isCreated = await this.publish(draft, folder);
      if (isCreated || ((await this.removeExpired(folder)) && (await this.publish(draft, folder)))) return true;
    } catch (error) {
      await files.removeAll(draft);
      throw error;
    }
    await files.removeAll(draft);
    return false;
  }

  async read(handle: string): Promise<VersionFile | undefined> {
    const folder = this.folderOf(handle);
    // A version may be superseded between looking and opening; then another process succeeded, so this ends.
    for (;;) {
      const version = (await listVersions(folder)).plain.at(-1);
      if (version === undefined) return undefined;
      const file = await openToRead(versionPath(folder, version));
      if (file === undefined) continue;
      try {
        const { mtimeMs, size } = files.fstat(file);
        return { version, content: await readBytes(file, size), expiry: mtimeMs };
      } finally {
        files.close(file);
      }
    }
  }

  /** The beginning of the content of a handle's newest version; empty where there is none. */
  async headOf(handle: string): Promise<Buffer> {
    const folder = this.folderOf(handle);
    const version = (await listVersions(folder)).plain.at(-1);
    return version === undefined ? Buffer.alloc(0) : readHead(versionPath(folder, version));
  }

  /** When the newest version of a handle expires, in epoch milliseconds; undefined where there is none. Opens no file. */
  async expiryOf(handle: string): Promise<number | undefined> {
    return (await newestOf(this.folderOf(handle)))?.expiry;
  }

  /** Gives a version a later expiry, if it is still there. */
  async extend(handle: string, version: number, expiry: number): Promise<void> {
    await orUndefined('ENOENT', files.setTimesOf(versionPath(this.folderOf(handle), version), expiry));
  }

  async replace(handle: string, base: number, content: Buffer, expiry: number): Promise<'updated' | 'conflict' | 'gone'> {
    const folder = this.folderOf(handle);
    const basis = await this.basisOf(folder, base);
    if (typeof basis === 'string') return basis;
    const draft = await this.temporary.writeFile(content, expiry);
    const removeDraft = (): Promise<void> => orUndefined('ENOENT', files.unlink(draft));
    const status = await this.follow(folder, base, basis, draft, removeDraft).catch(async (error: unknown) => {
      await removeDraft();
      throw error;
    });
    if (status !== 'updated') await removeDraft();
    return status;
  }

  /** Undefined if there was none. */
  async remove(handle: string): Promise<RemovedFile | undefined> {
    const grave = await this.bury(this.folderOf(handle));
    if (grave === undefined) return undefined;
    const newest = await newestOf(grave);
    const head = newest === undefined ? Buffer.alloc(0) : await readHead(versionPath(grave, newest.version));
    await files.removeAll(grave);
    return { wasAlive: newest !== undefined && newest.expiry > Date.now(), head };
  }

  /** Removes a handle if `base` is still its newest version, and has not expired. Takes no room on the disk. */
  async removeVersion(handle: string, base: number): Promise<boolean> {
    const folder = this.folderOf(handle);
    const basis = await this.basisOf(folder, base);
    if (typeof basis === 'string') return false;
    try {
      if ((await this.follow(folder, base, basis, await this.tombstone())) !== 'updated') return false;
    } catch (error) {
      if (!isErrno(error, 'ENOSPC', 'EDQUOT')) throw error;
      // Not even a name has room here, so no process can write a newer version meanwhile.
      const isSame = (await listVersions(folder)).plain.at(-1) === base;
      return isSame && (await this.remove(handle))?.wasAlive === true;
    }
    await this.removeExpired(folder);
    return true;
  }

  /**
   * All handles after `cursor`, in order, a shard at a time.
   *
   * @param check throws when the answer is not wanted any more.
   */
  async *handles(check: () => void, cursor = ''): AsyncGenerator<string[], void> {
    for (const shard of await foldersIn(this.root)) {
      check();
      if (shard.length > SHARD_LENGTH || shard < cursor.slice(0, SHARD_LENGTH)) continue;
      const handles = (await foldersIn(join(this.root, shard))).filter((handle) => handle > cursor);
      if (handles.length > 0) yield handles;
    }
  }

  /**
   * Visits all handles with their state. Removes superseded versions and what crashes have left on its way. Opens no file.
   *
   * @param check throws when the answer is not wanted any more.
   */
  async walk(check: () => void, visit: (walked: WalkedHandle) => Promise<void>): Promise<void> {
    for await (const handles of this.handles(check)) {
      await inParallel(handles, WALK_WIDTH, async (handle) => {
        check();
        const folder = this.folderOf(handle);
        const versions = await listVersions(folder);
        const newest = await newestOf(folder, versions);
        if (newest === undefined) return;
        if (versions.plain.length + versions.settled.length > 1) await removeSuperseded(folder, versions);
        await visit({ handle, ...newest });
      });
    }
    await this.temporary.purge(Date.now());
  }

  /** The version that a write is based on; or how the write ends, where it is the newest one no more. */
  private async basisOf(folder: string, base: number): Promise<Identity | 'conflict' | 'gone'> {
    const stat = await orUndefined(['ENOENT', 'ENOTDIR'], files.lstatExact(versionPath(folder, base)));
    // In this order: if it is the newest afterwards, it is no late writer's file.
    const versions = await listVersions(folder);
    const isNewest = stat !== undefined && versions.plain.at(-1) === base;
    const expiry = isNewest ? Number(stat.mtimeMs) : (await newestOf(folder, versions))?.expiry;
    if (expiry === undefined || expiry <= Date.now()) return 'gone';
    return isNewest ? stat : 'conflict';
  }

  /**
   * Lets a finished file follow `base`, if it is the first to do so.
   *
   * @param meanwhile is done while what it has superseded is removed.
   */
  private async follow(
    folder: string,
    base: number,
    basis: Identity,
    draft: string,
    meanwhile?: () => Promise<void>,
  ): Promise<'updated' | 'conflict' | 'gone'> {
    const next = versionPath(folder, base + 1);
    try {
      await files.link(draft, next);
    } catch (error) {
      if (isErrno(error, 'EEXIST')) return 'conflict';
      // The folder was renamed away meanwhile. (The draft cannot be what is missing: it was just written.)
      if (isErrno(error, 'ENOENT') && (await listVersions(folder)).plain.length === 0) return 'gone';
      throw error;
    }
    const versions = await listVersions(folder);
    if (versions.plain.length === 0) return 'gone';
    if (versions.plain.at(-1) !== base + 1 && !(await isInTime(folder, base, basis, draft))) {
      // What was linked is below the current version, and no reader has seen it.
      await orUndefined('ENOENT', files.unlink(next));
      return 'conflict';
    }
    await Promise.all([removeSuperseded(folder, versions, base), meanwhile?.()]);
    return 'updated';
  }

  /** The path of an empty file that has expired. */
  private async tombstone(): Promise<string> {
    const path = join(this.root, TOMBSTONE);
    if ((await orUndefined('ENOENT', files.lstat(path))) === undefined)
      await files.rename(await this.temporary.writeFile(Buffer.alloc(0), 0), path);
    return path;
  }

  /** Gives a handle its first folder. False if it has one. */
  private async publish(draft: string, folder: string): Promise<boolean> {
    try {
      return await moveTo(folder, draft);
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error;
      await files.mkdirs(dirname(folder), this.folderMode);
      return moveTo(folder, draft);
    }
  }

  /** Makes room for another session of the same handle. False if the one that is there lives. */
  private async removeExpired(folder: string): Promise<boolean> {
    const hasEnded = (newest: VersionStat | undefined): boolean => newest === undefined || newest.expiry <= Date.now();
    if (!hasEnded(await newestOf(folder))) return false;
    const grave = await this.bury(folder);
    if (grave === undefined) return true;
    // Another process may have done all this a moment before: then it is its new session that lies here.
    const isOver = hasEnded(await newestOf(grave));
    if (!isOver && (await moveTo(folder, grave))) return false;
    await files.removeAll(grave);
    return isOver;
  }

  /** Takes a folder out of every reader's sight. Undefined if it is not there. */
  private async bury(folder: string): Promise<string | undefined> {
    const grave = this.temporary.newPath();
    const move = (): Promise<string | undefined> =>
      orUndefined(
        ['ENOENT', 'ENOTDIR'],
        files.rename(folder, grave).then(() => grave),
      );
    const moved = await move();
    if (moved !== undefined) return moved;
    // What is missing may be the folder for the grave, cleaned away by hand.
    if ((await orUndefined(['ENOENT', 'ENOTDIR'], files.lstat(folder))) === undefined) return undefined;
    await this.temporary.open();
    return move();
  }

  /** Two characters of the handle spread the folders. */
  private folderOf(handle: string): string {
    return join(this.root, handle.slice(0, SHARD_LENGTH), handle);
  }
}

/** Users who may read files of this mode may enter their folders. */
export function folderModeOf(mode: number): number {
  return mode | ((mode & 0o444) >> 2);
}

/** Whether a version that was linked after `base`, and is not the newest any more, was the first one after it. */
async function isInTime(folder: string, base: number, basis: Identity, draft: string): Promise<boolean> {
  const look = (path: string): Promise<Identity | undefined> => orUndefined('ENOENT', files.lstatExact(path));
  // In this order: a settled successor is removed after its base.
  const successor = await look(settledPath(folder, base + 1));
  if (successor !== undefined && successor.ino !== (await look(draft))?.ino) return false;
  const now = await look(versionPath(folder, base));
  return now?.ino === basis.ino && now.birthtimeNs === basis.birthtimeNs;
}

/** Renames a folder, unless there is one of that name with something in it. */
async function moveTo(target: string, folder: string): Promise<boolean> {
  try {
    await files.rename(folder, target);
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOTEMPTY', 'EEXIST')) return false;
    // Windows' answer for the same.
    if (isErrno(error, 'EPERM') && (await orUndefined('ENOENT', files.lstat(target))) !== undefined) return false;
    throw error;
  }
}

async function openToRead(path: string): Promise<number | undefined> {
  return orUndefined('ENOENT', files.open(path, READ));
}

async function readHead(path: string): Promise<Buffer> {
  const file = await openToRead(path);
  if (file === undefined) return Buffer.alloc(0);
  try {
    return await readBytes(file, HEAD_LENGTH);
  } finally {
    files.close(file);
  }
}

/** So many bytes from the beginning of a file, or as many as there are. */
async function readBytes(file: number, size: number): Promise<Buffer> {
  if (size === 0) return Buffer.alloc(0);
  // Not from the pool of small buffers: what is read may be kept for as long as a request takes.
  const bytes = Buffer.allocUnsafeSlow(size);
  let length = 0;
  while (length < size) {
    const count = await files.read(file, bytes, length);
    if (count === 0) break;
    length += count;
  }
  return bytes.subarray(0, length);
}

/** The names of the folders in a folder, in order. */
async function foldersIn(path: string): Promise<string[]> {
  const entries = (await orUndefined(['ENOENT', 'ENOTDIR'], files.entries(path))) ?? [];
  return entries
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort();
}
