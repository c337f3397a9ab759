import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { mountTinyDisk, type TinyDisk } from '../../support/tiny-disk.js';
import type { Store } from '../support/stores.js';
import type { Fault } from './faults.js';

/** Sessions in files on a disk of their own; undefined where this process may not mount one. */
export function mountDiskStore(): { store: Store; faults: readonly Fault[] } | undefined {
  const disk = mountTinyDisk(8 * 1024);
  if (disk === undefined) return undefined;
  const store: Store = {
    durable: true,
    session: () => ({ type: 'filesystem', filesystem: { dir: join(disk.path, 'sessions'), threshold: 0 } }),
    stop: async () => disk.unmount(),
  };
  return { store, faults: [diskFull(disk), diskReadOnly(disk)] };
}

function diskFull({ path }: TinyDisk): Fault {
  return {
    name: 'disk full',
    happen: async (_scene, milliseconds) => {
      const ballast = join(path, 'ballast');
      await fill(ballast);
      await sleep(milliseconds);
      await rm(ballast);
    },
  };
}

function diskReadOnly(disk: TinyDisk): Fault {
  return {
    name: 'disk read-only',
    happen: async (_scene, milliseconds) => {
      await retried(() => disk.setReadOnly(true));
      await sleep(milliseconds);
      disk.setReadOnly(false);
    },
  };
}

/** A disk with a file that is being written at this moment cannot be made read-only. */
async function retried(attempt: () => void): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      return attempt();
    } catch (error) {
      if (tries === 500) throw error;
      await sleep(5);
    }
  }
}

/** Writes until there is no room left. */
async function fill(path: string): Promise<void> {
  const file = createWriteStream(path);
  const full = once(file, 'error');
  const block = Buffer.alloc(64 * 1024);
  while (!file.destroyed) {
    file.write(block);
    await sleep(1);
  }
  await full;
}
