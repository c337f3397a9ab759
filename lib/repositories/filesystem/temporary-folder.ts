import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { files, isErrno, orUndefined } from './files.js';

/** What a crash left behind is removed after so long, in milliseconds: no process is still writing it. */
const LEFTOVER_AGE = 60_000;

/** Where files are written before they have a name, and removed sessions wait for their end. */
export class TemporaryFolder {
  /** Different in each process. */
  private readonly name = randomUUID();
  private count = 0;

  /** @param mode of the files; @param folderMode of the folders. */
  constructor(
    private readonly path: string,
    private readonly mode: number,
    private readonly folderMode: number,
  ) {}

  async open(): Promise<void> {
    await files.mkdirs(this.path, this.folderMode);
  }

  /** A path that no other writer uses. */
  newPath(): string {
    return join(this.path, `${this.name}-${(this.count++).toString(36)}`);
  }

  /** A new folder with one file in it, complete and on the disk when this resolves. */
  async writeFolder(name: string, content: Buffer, expiry: number): Promise<string> {
    const folder = this.newPath();
    await this.inFolder(() => files.mkdir(folder, this.folderMode));
    try {
      await this.write(join(folder, name), content, expiry);
      return folder;
    } catch (error) {
      await files.removeAll(folder);
      throw error;
    }
  }

  /** A new file, complete and on the disk when this resolves. */
  async writeFile(content: Buffer, expiry: number): Promise<string> {
    const path = this.newPath();
    try {
      await this.inFolder(() => this.write(path, content, expiry));
      return path;
    } catch (error) {
      await orUndefined('ENOENT', files.unlink(path));
      throw error;
    }
  }

  /** Removes what crashes have left. */
  async purge(now: number): Promise<void> {
    for (const name of (await orUndefined('ENOENT', files.readdir(this.path))) ?? []) {
      const path = join(this.path, name);
      const stat = await orUndefined('ENOENT', files.lstat(path));
      if (stat !== undefined && now - stat.ctimeMs > LEFTOVER_AGE) await files.removeAll(path);
    }
  }

  /** Makes the folder again where it was cleaned away by hand. */
  private async inFolder(write: () => Promise<void>): Promise<void> {
    try {
      await write();
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error;
      await this.open();
      await write();
    }
  }

  /** The expiry goes before the flush, so that it is on the disk with the content. */
  private async write(path: string, content: Buffer, expiry: number): Promise<void> {
    const file = await files.open(path, 'wx', this.mode);
    try {
      for (let offset = 0; offset < content.length;) offset += await files.write(file, content, offset);
      await files.setTimes(file, expiry);
      await files.flush(file);
    } finally {
      files.close(file);
    }
  }
}
