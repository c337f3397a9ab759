import { randomUUID } from 'node:crypto';
import { link, lstat, mkdir, open, opendir, readdir, rename, rm, unlink, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno, orUndefined } from './errno.js';

/** The newest version of a handle. */
export interface VersionFile {
  readonly version: number;
  readonly content: Buffer;
  /** Epoch milliseconds. */
  readonly expiry: number;
}

/** Where new versions are written before they have a name, and removed ones wait for their end. */
const TEMPORARY = 'tmp';
/** What a crash left in `tmp`, or a superseded version, is removed after so long, in milliseconds. */
const LEFTOVER_AGE = 60_000;

/**
 * Files with versions, changed by compare-and-swap, without locks.
 *
 * A handle is a folder `ab/abcd…/`, and a version is a file in it named by its number; the highest one counts. What makes this
 * safe between processes is that POSIX does three things atomically:
 *
 * - **create** renames a folder that holds version 1 to the handle's name: it fails if that exists.
 * - **replace** n by n+1 links a finished file to the name n+1: it fails if another process was first.
 * - **remove** renames the folder away: whoever still wants to link into it finds nothing.
 *
 * A file is complete before it has its name, so no reader sees half of one, and a process that dies leaves at most a file in
 * `tmp` or a superseded version, which the purge takes.
 *
 * Only the writer of n+1 removes n. So a writer that finds its n still there after linking n+1 knows that it succeeded; one
 * that comes too late, when n and the first n+1 are long gone, knows that it did not.
 *
 * The expiry of a session is the modification time of its file: a purge reads no file, and a touch writes none.
 */
export class VersionedFolder {
  private readonly temporary: string;

  constructor(
    private readonly root: string,
    private readonly mode: number,
  ) {
    this.temporary = join(root, TEMPORARY);
  }

  async open(): Promise<void> {
    await mkdir(this.temporary, { recursive: true, mode: this.folderMode });
  }

  async create(handle: string, content: Buffer, expiry: number): Promise<boolean> {
    const draft = this.temporaryName();
    const folder = this.folderOf(handle);
    await mkdir(draft, { recursive: true, mode: this.folderMode });
    try {
      await this.writeFile(join(draft, '1'), content, expiry);
      await mkdir(join(folder, '..'), { recursive: true, mode: this.folderMode });
      await rename(draft, folder);
      return true;
    } catch (error) {
      await rm(draft, { recursive: true, force: true });
      if (isErrno(error, 'ENOTEMPTY', 'EEXIST', 'EPERM')) return false;
      throw error;
    }
  }

  async read(handle: string): Promise<VersionFile | undefined> {
    const folder = this.folderOf(handle);
    // A version may be superseded between looking and opening; then another process succeeded, so this ends.
    for (;;) {
      const version = (await this.versions(folder)).at(-1);
      if (version === undefined) return undefined;
      const file = await orUndefined('ENOENT', open(join(folder, String(version))));
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
    await orUndefined('ENOENT', utimes(join(this.folderOf(handle), String(version)), new Date(), new Date(expiry)));
  }

  async replace(handle: string, base: number, content: Buffer, expiry: number): Promise<'updated' | 'conflict' | 'gone'> {
    const folder = this.folderOf(handle);
    const found = await this.versions(folder);
    const latest = found.at(-1);
    if (latest === undefined || (await this.hasExpired(folder, latest))) return 'gone';
    if (latest !== base) return 'conflict';
    const draft = this.temporaryName();
    try {
      await this.writeFile(draft, content, expiry);
      await link(draft, join(folder, String(base + 1)));
    } catch (error) {
      if (isErrno(error, 'EEXIST')) return 'conflict';
      // The folder was renamed away meanwhile. (The draft cannot be what is missing: it was just written.)
      if (isErrno(error, 'ENOENT') && (await this.versions(folder)).length === 0) return 'gone';
      throw error;
    } finally {
      await rm(draft, { force: true });
    }
    return this.supersede(folder, base);
  }

  async remove(handle: string): Promise<boolean> {
    const grave = this.temporaryName();
    const gone = await orUndefined(
      'ENOENT',
      rename(this.folderOf(handle), grave).then(() => true),
    );
    if (gone === undefined) return false;
    await rm(grave, { recursive: true, force: true });
    return true;
  }

  /** All handles after `cursor`, in order, a shard at a time. */
  async *handles(cursor = ''): AsyncGenerator<string> {
    for (const shard of (await orUndefined('ENOENT', readdir(this.root)))?.sort() ?? []) {
      if (shard === TEMPORARY || shard < cursor.slice(0, 2)) continue;
      const handles = await orUndefined(['ENOENT', 'ENOTDIR'], readdir(join(this.root, shard)));
      for (const handle of handles?.sort() ?? []) if (handle > cursor) yield handle;
    }
  }

  /** When a handle expires; undefined where there is none. Opens no file. */
  async expiryOf(handle: string): Promise<number | undefined> {
    const folder = this.folderOf(handle);
    const version = (await this.versions(folder)).at(-1);
    return version === undefined ? undefined : (await orUndefined('ENOENT', lstat(join(folder, String(version)))))?.mtimeMs;
  }

  /** Removes what has expired, and what crashes have left. */
  async purge(now: number): Promise<number> {
    let removed = 0;
    for await (const handle of this.handles()) {
      const expiry = await this.expiryOf(handle);
      if (expiry !== undefined && expiry <= now && (await this.remove(handle))) removed++;
    }
    await this.purgeTemporary(now);
    return removed;
  }

  private async supersede(folder: string, base: number): Promise<'updated' | 'conflict' | 'gone'> {
    const versions = await this.versions(folder);
    if (versions.length === 0) return 'gone';
    if (!versions.includes(base)) {
      // Too late by more than one version: what was linked is below the current one, and nobody has seen it.
      await rm(join(folder, String(base + 1)), { force: true });
      return 'conflict';
    }
    // Lowest first, so that a version never disappears while its predecessor is there.
    for (const version of await this.leftovers(folder, versions, base)) await rm(join(folder, String(version)), { force: true });
    return 'updated';
  }

  /** The base itself, unless versions below it wait for writers that may still be at work; and what is too old for that. */
  private async leftovers(folder: string, versions: readonly number[], base: number): Promise<number[]> {
    const below = versions.filter((version) => version < base);
    for (const version of below) {
      const { ctimeMs } = (await orUndefined('ENOENT', lstat(join(folder, String(version))))) ?? { ctimeMs: 0 };
      if (Date.now() - ctimeMs < LEFTOVER_AGE) return [];
    }
    return [...below, base];
  }

  private async purgeTemporary(now: number): Promise<void> {
    const folder = await orUndefined('ENOENT', opendir(this.temporary));
    if (folder === undefined) return;
    for await (const { name } of folder) {
      const path = join(this.temporary, name);
      const stat = await orUndefined('ENOENT', lstat(path));
      if (stat !== undefined && now - stat.ctimeMs > LEFTOVER_AGE) await rm(path, { recursive: true, force: true });
    }
  }

  /** Ascending. */
  private async versions(folder: string): Promise<number[]> {
    const names = (await orUndefined('ENOENT', readdir(folder))) ?? [];
    return names
      .filter((name) => /^[1-9]\d{0,14}$/.test(name))
      .map(Number)
      .sort((a, b) => a - b);
  }

  private async hasExpired(folder: string, version: number): Promise<boolean> {
    const stat = await orUndefined('ENOENT', lstat(join(folder, String(version))));
    return stat !== undefined && stat.mtimeMs <= Date.now();
  }

  /** Complete and on the disk when this resolves. */
  private async writeFile(path: string, content: Buffer, expiry: number): Promise<void> {
    const file = await open(path, 'wx', this.mode).catch(async (error: unknown) => {
      // The folder may have been cleaned away by hand.
      if (!isErrno(error, 'ENOENT')) throw error;
      await this.open();
      return open(path, 'wx', this.mode);
    });
    try {
      await file.writeFile(content);
      await file.datasync();
      await file.utimes(new Date(), new Date(expiry));
    } catch (error) {
      await unlink(path).catch(() => undefined);
      throw error;
    } finally {
      await file.close();
    }
  }

  private temporaryName(): string {
    return join(this.temporary, randomUUID());
  }

  /** Two characters of the handle spread the folders. */
  private folderOf(handle: string): string {
    return join(this.root, handle.slice(0, 2), handle);
  }

  /** Whoever may read the files may enter the folders. */
  private get folderMode(): number {
    return this.mode | ((this.mode & 0o444) >> 2);
  }
}
