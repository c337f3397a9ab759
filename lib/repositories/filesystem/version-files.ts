import { join } from 'node:path';
import { files, orUndefined } from './files.js';

/**
 * A writer that has linked its version looks around at once. One that has not done so after so long, in milliseconds, has died,
 * or its client no longer waits for the answer.
 */
export const WRITER_PATIENCE = 10_000;

/** A superseded version that no writer looks for any more, but that cannot go before its predecessors. */
const SETTLED = '.old';
const NAME = /^([1-9]\d{0,14})(\.old)?$/;

/** The versions in the folder of a handle, in ascending order. */
export interface VersionFiles {
  /** Files named by their number alone; the last one counts. */
  readonly plain: readonly number[];
  readonly settled: readonly number[];
}

/** A state of a handle, without its content. */
export interface VersionStat {
  readonly version: number;
  /** Epoch milliseconds. */
  readonly expiry: number;
  /** When the file was last touched, linked or written, in epoch milliseconds. */
  readonly changedAt: number;
}

/** One look at a folder. There are no versions where there is no folder. */
export async function listVersions(folder: string): Promise<VersionFiles> {
  const plain: number[] = [];
  const settled: number[] = [];
  for (const name of (await orUndefined(['ENOENT', 'ENOTDIR'], files.readdir(folder))) ?? []) {
    const match = NAME.exec(name);
    if (match) (match[2] === undefined ? plain : settled).push(Number(match[1]));
  }
  const ascending = (a: number, b: number): number => a - b;
  return { plain: plain.sort(ascending), settled: settled.sort(ascending) };
}

/** The newest version; undefined where there is none. Opens no file. */
export async function newestOf(folder: string, versions?: VersionFiles): Promise<VersionStat | undefined> {
  for (let look = versions; ; look = undefined) {
    const version = (look ?? (await listVersions(folder))).plain.at(-1);
    if (version === undefined) return undefined;
    const stat = await orUndefined('ENOENT', files.lstat(versionPath(folder, version)));
    // If it was superseded between the two looks, there is a newer one.
    if (stat !== undefined) return { version, expiry: stat.mtimeMs, changedAt: stat.ctimeMs };
  }
}

/**
 * Removes superseded versions, the lowest first: a version never disappears while its predecessor is there. Ends at the first one
 * that the writer of its successor may still look for.
 *
 * @param mine the version that the caller has superseded, and no longer looks for.
 */
export async function removeSuperseded(folder: string, { plain, settled }: VersionFiles, mine?: number): Promise<void> {
  const superseded = [...settled, ...plain.slice(0, -1)].sort((a, b) => a - b);
  for (const version of superseded) {
    if (settled.includes(version)) await remove(settledPath(folder, version));
    if (!plain.includes(version)) continue;
    if (version !== mine && !(await isAbandoned(folder, version))) {
      if (mine !== undefined && mine > version) await settle(folder, mine);
      return;
    }
    await remove(versionPath(folder, version));
  }
}

export function versionPath(folder: string, version: number): string {
  return join(folder, String(version));
}

export function settledPath(folder: string, version: number): string {
  return versionPath(folder, version) + SETTLED;
}

async function remove(path: string): Promise<void> {
  await orUndefined('ENOENT', files.unlink(path));
}

async function settle(folder: string, version: number): Promise<void> {
  await orUndefined('ENOENT', files.rename(versionPath(folder, version), settledPath(folder, version)));
}

/** A version is superseded when its successor is linked, which is at most as long ago as that one was last changed. */
async function isAbandoned(folder: string, version: number): Promise<boolean> {
  const successor = version + 1;
  for (const path of [versionPath(folder, successor), settledPath(folder, successor), versionPath(folder, version)]) {
    const stat = await orUndefined('ENOENT', files.lstat(path));
    if (stat !== undefined) return Date.now() - stat.ctimeMs > WRITER_PATIENCE;
  }
  return true;
}
