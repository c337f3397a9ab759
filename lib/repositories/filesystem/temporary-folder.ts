import { randomUUID } from 'node:crypto';
import { lstat, mkdir, open, opendir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno, orUndefined } from './errno.js';

/** What a crash left behind is removed after so long, in milliseconds: nobody is still writing it. */
const LEFTOVER_AGE = 60_000;

/** Where files are written before they have a name, and removed sessions wait for their end. */
export class TemporaryFolder {
  /** @param mode of the files; @param folderMode of the folders. */
  constructor(
    private readonly path: string,
    private readonly mode: number,
    private readonly folderMode: number,
  ) {}

  async open(): Promise<void> {
    await mkdir(this.path, { recursive: true, mode: this.folderMode });
  }

  /** A path that nobody else uses. */
  newPath(): string {
    return join(this.path, randomUUID());
  }

  /** A new folder with one file in it. */
  async writeFolder(name: string, content: Buffer, expiry: number): Promise<string> {
    const folder = this.newPath();
    await mkdir(folder, { recursive: true, mode: this.folderMode });
    try {
      await this.write(join(folder, name), content, expiry);
      return folder;
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** A new file, complete and on the disk when this resolves. */
  async writeFile(content: Buffer, expiry: number): Promise<string> {
    const path = this.newPath();
    try {
      await this.write(path, content, expiry).catch(async (error: unknown) => {
        // The folder may have been cleaned away by hand.
        if (!isErrno(error, 'ENOENT')) throw error;
        await this.open();
        await this.write(path, content, expiry);
      });
      return path;
    } catch (error) {
      await rm(path, { force: true });
      throw error;
    }
  }

  /** Removes what crashes have left. */
  async purge(now: number): Promise<void> {
    const folder = await orUndefined('ENOENT', opendir(this.path));
    if (folder === undefined) return;
    for await (const { name } of folder) {
      const path = join(this.path, name);
      const stat = await orUndefined('ENOENT', lstat(path));
      if (stat !== undefined && now - stat.ctimeMs > LEFTOVER_AGE) await rm(path, { recursive: true, force: true });
    }
  }

  private async write(path: string, content: Buffer, expiry: number): Promise<void> {
    const file = await open(path, 'wx', this.mode);
    try {
      await file.writeFile(content);
      await file.datasync();
      await file.utimes(new Date(), new Date(expiry));
    } finally {
      await file.close();
    }
  }
}
