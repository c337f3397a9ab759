import { hash } from 'node:crypto';
import { dirname, join } from 'node:path';
import { files, isErrno, orUndefined } from './files.js';

/** A session that a principal may have. */
export interface IndexEntry {
  readonly handle: string;
  /** When it got the principal, in epoch milliseconds: the order of a listing. */
  readonly since: number;
}

/** Not two characters, so no shard of sessions. */
const FOLDER = 'principals';
/** Its modification time says when all sessions were last compared with the index. */
const MARK = 'indexed';
const SHARD_LENGTH = 2;
/** A writer adds its entry before its session can be found. After so long, in milliseconds, it has done so or has died. */
const SETTLED_AFTER = 60_000;

/**
 * Which sessions a principal has: for each principal a folder, named by the hash of the principal, and in it an empty file for each
 * session, named by the handle.
 *
 * An entry is there before its session can be found, and is removed after the session has gone. So an index that is complete finds every
 * session, and readers check each entry against the session it names. What a crash has left is removed by the next listing.
 */
export class PrincipalIndex {
  private readonly folder: string;
  private readonly mark: string;

  constructor(
    root: string,
    private readonly mode: number,
    private readonly folderMode: number,
  ) {
    this.folder = join(root, FOLDER);
    this.mark = join(root, MARK);
  }

  /** What the index knows a principal by. */
  static keyOf(principal: string | undefined): string | undefined {
    return principal === undefined ? undefined : hash('sha256', principal, 'base64url');
  }

  /** Adds an entry, or makes one that is there as new as another. */
  async add(key: string, handle: string): Promise<void> {
    const path = this.pathOf(key, handle);
    for (let tries = 0; ; tries++) {
      try {
        return await this.stamp(await files.open(path, 'a', this.mode), Date.now());
      } catch (error) {
        // The last session of the principal may have gone at this moment, and its folder with it.
        if (!isErrno(error, 'ENOENT') || tries === 3) throw error;
        await files.mkdirs(dirname(path), this.folderMode);
      }
    }
  }

  /** Adds an entry where there is none. */
  async ensure(key: string, handle: string): Promise<void> {
    if ((await orUndefined('ENOENT', files.lstat(this.pathOf(key, handle)))) === undefined) await this.add(key, handle);
  }

  async remove(key: string, handle: string): Promise<void> {
    const path = this.pathOf(key, handle);
    if (
      (await orUndefined(
        'ENOENT',
        files.unlink(path).then(() => true),
      )) === true
    )
      await orUndefined(['ENOENT', 'ENOTEMPTY', 'EEXIST', 'EPERM'], files.rmdir(dirname(path)));
  }

  /** Removes an entry that leads to no session of the principal, unless its session is just being written. */
  async heal(key: string, { handle, since }: IndexEntry): Promise<void> {
    // Also a time in the future has passed: the clock was set back.
    if (Math.abs(Date.now() - since) > SETTLED_AFTER) await this.remove(key, handle);
  }

  /** The entries of a principal, the oldest first. */
  async entries(key: string): Promise<IndexEntry[]> {
    const folder = this.folderOf(key);
    const handles = (await orUndefined('ENOENT', files.readdir(folder))) ?? [];
    const stats = await Promise.all(handles.map((handle) => orUndefined('ENOENT', files.lstat(join(folder, handle)))));
    const entries = handles.flatMap((handle, index) => {
      const stat = stats[index];
      return stat === undefined ? [] : [{ handle, since: Math.floor(stat.mtimeMs) }];
    });
    return entries.sort(byAge);
  }

  /**
   * Visits the entries of all principals, one at a time.
   *
   * @param check throws when the answer is not wanted any more.
   */
  async *all(check: () => void): AsyncGenerator<{ key: string; entry: IndexEntry }, void> {
    for (const shard of (await orUndefined('ENOENT', files.readdir(this.folder))) ?? []) {
      for (const key of await files.readdir(join(this.folder, shard))) {
        check();
        for (const entry of await this.entries(key)) yield { key, entry };
      }
    }
  }

  /** Since when, in epoch milliseconds, all sessions are in the index; undefined while an older version's sessions are missing. */
  async completeSince(): Promise<number | undefined> {
    return (await orUndefined('ENOENT', files.lstat(this.mark)))?.mtimeMs;
  }

  /** All sessions that were changed before `time` are in the index. */
  async markComplete(time: number): Promise<void> {
    const file = await orUndefined('ENOENT', files.open(this.mark, 'a', this.mode));
    // Where there is no folder there are no sessions.
    if (file !== undefined) await this.stamp(file, time);
  }

  private async stamp(file: number, time: number): Promise<void> {
    try {
      await files.setTimes(file, time);
    } finally {
      files.close(file);
    }
  }

  private folderOf(key: string): string {
    return join(this.folder, key.slice(0, SHARD_LENGTH), key);
  }

  private pathOf(key: string, handle: string): string {
    return join(this.folderOf(key), handle);
  }
}

/** By time, then by name. */
export function byAge(a: IndexEntry, b: IndexEntry): number {
  return a.since - b.since || (a.handle < b.handle ? -1 : Number(a.handle > b.handle));
}
