import * as fs from 'node:fs';

type Done<T> = (error: NodeJS.ErrnoException | null, value?: T) => void;

/**
 * The calls of `node:fs` that the back end needs, as promises. They take two thirds of the processor time of `node:fs/promises`, which
 * makes an object for each open file. Their errors carry no path: the path of a session file names the session.
 */
export const files = {
  open: (path: string, flags: string | number, mode?: number) => call<number>((done) => fs.open(path, flags, mode, done)),
  /** At once: it waits for no disk, and a turn in the pool of threads costs ten times as much. So does `fstat`. */
  close: (file: number): void => fs.closeSync(file),
  fstat: (file: number): fs.Stats => fs.fstatSync(file),
  lstat: (path: string) => call<fs.Stats>((done) => fs.lstat(path, done)),
  lstatExact: (path: string) => call<fs.BigIntStats>((done) => fs.lstat(path, { bigint: true }, done)),
  stat: (path: string) => call<fs.Stats>((done) => fs.stat(path, done)),
  /** What comes next in the file. */
  read: (file: number, into: Buffer, offset: number) =>
    call<number>((done) => fs.read(file, into, offset, into.length - offset, null, done)),
  write: (file: number, from: Buffer, offset: number) =>
    call<number>((done) => fs.write(file, from, offset, from.length - offset, offset, done)),
  setTimes: (file: number, expiry: number) => call<void>((done) => fs.futimes(file, new Date(), new Date(expiry), done)),
  setTimesOf: (path: string, expiry: number) => call<void>((done) => fs.utimes(path, new Date(), new Date(expiry), done)),
  flush: (file: number) => call<void>((done) => fs.fdatasync(file, done)),
  link: (path: string, name: string) => call<void>((done) => fs.link(path, name, done)),
  rename: (path: string, name: string) => call<void>((done) => fs.rename(path, name, done)),
  unlink: (path: string) => call<void>((done) => fs.unlink(path, done)),
  rmdir: (path: string) => call<void>((done) => fs.rmdir(path, done)),
  /** With all that is in it. */
  removeAll: (path: string) => call<void>((done) => fs.rm(path, { recursive: true, force: true }, done)),
  mkdir: (path: string, mode: number) => call<void>((done) => fs.mkdir(path, mode, done)),
  /** With the folders that it is in. */
  mkdirs: (path: string, mode: number) => call<string | undefined>((done) => fs.mkdir(path, { recursive: true, mode }, done)),
  readdir: (path: string) => call<string[]>((done) => fs.readdir(path, done)),
  entries: (path: string) => call<fs.Dirent[]>((done) => fs.readdir(path, { withFileTypes: true }, done)),
};

/** Whether an error is one of the system's, with one of these codes. (Not by its class: each realm has its own `Error`.) */
export function isErrno(error: unknown, ...codes: string[]): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && codes.includes(String(error.code));
}

/** Resolves to undefined where the call failed with one of these codes. */
export async function orUndefined<T>(codes: string | string[], answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (isErrno(error, ...[codes].flat())) return undefined;
    throw error;
  }
}

/** Calls `use` for each item, for `width` of them at the same time. */
export async function inParallel<T>(items: readonly T[], width: number, use: (item: T, index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < items.length) {
      const index = next++;
      await use(items[index] as T, index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, work));
}

function call<T>(start: (done: Done<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, value) => {
      if (error) reject(withoutPath(error));
      else resolve(value as T);
    });
  });
}

function withoutPath(error: NodeJS.ErrnoException): NodeJS.ErrnoException & { dest?: string } {
  delete error.path;
  delete (error as { dest?: string }).dest;
  // As in "ENOENT: no such file or directory, lstat '/var/…'".
  error.message = error.message.split(" '", 1)[0] ?? '';
  error.stack = `${error.name}: ${error.message}`;
  return error;
}
