import { lstat, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { orUndefined } from './errno.js';

/**
 * A writer that has linked its version looks around at once. One that has not done so after so long, in milliseconds, has died,
 * or nobody waits for its answer any more.
 */
export const WRITER_PATIENCE = 10_000;

/** A superseded version that nobody looks for any more, but that cannot go before its predecessors. */
const SETTLED = '.old';
const NAME = /^([1-9]\d{0,14})(\.old)?$/;

/** The versions in the folder of a handle, in ascending order. */
export interface VersionFiles {
  /** Files named by their number alone; the last one counts. */
  readonly plain: readonly number[];
  readonly settled: readonly number[];
}

/** One look at a folder. There are no versions where there is no folder. */
export async function listVersions(folder: string): Promise<VersionFiles> {
  const names = (await orUndefined('ENOENT', readdir(folder))) ?? [];
  const found = names.map((name) => NAME.exec(name)).filter((match) => match !== null);
  const numbers = (suffix: string | undefined): number[] =>
    found
      .filter((match) => match[2] === suffix)
      .map((match) => Number(match[1]))
      .sort((a, b) => a - b);
  return { plain: numbers(undefined), settled: numbers(SETTLED) };
}

/** Until when the newest version lives, in epoch milliseconds; undefined where there is none. Opens no file. */
export async function expiryOf(folder: string): Promise<number | undefined> {
  for (;;) {
    const latest = (await listVersions(folder)).plain.at(-1);
    if (latest === undefined) return undefined;
    const stat = await orUndefined('ENOENT', lstat(versionPath(folder, latest)));
    // If it was superseded between the two looks, there is a newer one.
    if (stat !== undefined) return stat.mtimeMs;
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
    if (settled.includes(version)) await rm(settledPath(folder, version), { force: true });
    if (!plain.includes(version)) continue;
    if (version !== mine && !(await isAbandoned(folder, version))) {
      if (mine !== undefined && mine > version) await settle(folder, mine);
      return;
    }
    await rm(versionPath(folder, version), { force: true });
  }
}

export function versionPath(folder: string, version: number): string {
  return join(folder, String(version));
}

export function settledPath(folder: string, version: number): string {
  return versionPath(folder, version) + SETTLED;
}

async function settle(folder: string, version: number): Promise<void> {
  await orUndefined('ENOENT', rename(versionPath(folder, version), settledPath(folder, version)));
}

/** A version is superseded when its successor is linked, which is at most as long ago as that one was last changed. */
async function isAbandoned(folder: string, version: number): Promise<boolean> {
  const successor = version + 1;
  for (const path of [versionPath(folder, successor), settledPath(folder, successor), versionPath(folder, version)]) {
    const stat = await orUndefined('ENOENT', lstat(path));
    if (stat !== undefined) return Date.now() - stat.ctimeMs > WRITER_PATIENCE;
  }
  return true;
}
