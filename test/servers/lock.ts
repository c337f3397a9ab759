import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pauseFor } from './pause-for.js';
import { isAlive } from './process-tree.js';
import { harnessFolder } from './temp-folder.js';

/**
 * Runs `work` while no other process of this user runs work under the same name.
 * A lock whose holder died is taken over. Two waiters can, very rarely, both take it over;
 * so everything done under a lock must also be harmless when done twice (it is: templates are
 * renamed into place, and apt has a lock of its own). The lock only saves the double work.
 */
export async function withLock<T>(name: string, work: () => Promise<T>): Promise<T> {
  const lock = join(await harnessFolder('locks'), name);
  while (!(await take(lock))) {
    await dropIfAbandoned(lock);
    await pauseFor(50);
  }
  try {
    return await work();
  } finally {
    await rm(lock, { recursive: true, force: true });
  }
}

async function take(lock: string): Promise<boolean> {
  // Written first and renamed into place, so that a lock never exists without its holder's pid:
  // rename onto a folder that is not empty fails.
  const own = `${lock}.${process.pid}.${Math.random().toString(36).slice(2)}`;
  await mkdir(own);
  await writeFile(join(own, 'pid'), String(process.pid));
  try {
    await rename(own, lock);
    return true;
  } catch {
    await rm(own, { recursive: true, force: true });
    return false;
  }
}

async function dropIfAbandoned(lock: string): Promise<void> {
  const holder = await readFile(join(lock, 'pid'), 'utf8').catch(() => undefined);
  if (holder !== undefined && !isAlive(Number(holder))) {
    await rm(lock, { recursive: true, force: true });
  }
}
