import { chownSync, closeSync, openSync, writeSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startPostgres } from '../../servers/index.js';
import { systemUser } from '../../servers/system-user.js';
import { mountTinyDisk, type TinyDisk } from '../../support/tiny-disk.js';
import type { Condition } from '../support/conditions.js';
import { filesIn, sqliteIn, type Store, type Trait } from '../support/stores.js';

export interface DiskStore {
  readonly name: string;
  readonly traits: readonly Trait[];
  /** Undefined where this process may not mount a disk. */
  start(): Promise<Store | undefined>;
}

/** Sessions on a small disk of their own. */
export const DISK_STORES: readonly DiskStore[] = [
  { name: 'filesystem', traits: ['full', 'readOnly'], start: async () => onDisk(filesIn) },
  { name: 'sqlite', traits: ['full', 'readOnly'], start: async () => onDisk(sqliteIn) },
  { name: 'postgres', traits: ['full'], start: tablespaceOnDisk },
];

function onDisk(session: (folder: string) => ReturnType<Store['session']>): Store | undefined {
  const disk = mountTinyDisk(8 * 1024);
  if (disk === undefined) return undefined;
  return {
    durable: true,
    conditions: { full: diskFull(disk), readOnly: (isOn) => remount(disk, isOn) },
    session: () => session(disk.path),
    stop: async () => disk.unmount(),
  };
}

/** The table alone is on the small disk, and the log of the database is not. */
async function tablespaceOnDisk(): Promise<Store | undefined> {
  const disk = mountTinyDisk(16 * 1024);
  if (disk === undefined) return undefined;
  const user = await systemUser('postgres');
  if (user !== undefined) chownSync(disk.path, user.uid, user.gid);
  const server = await startPostgres({ durable: true });
  const { default: pg } = await import('pg');
  const admin = new pg.Client({ connectionString: server.url });
  await admin.connect();
  await admin.query(`CREATE TABLESPACE tiny LOCATION '${disk.path}'`);
  await admin.end();
  return {
    durable: true,
    conditions: { full: diskFull(disk) },
    session: () => ({ type: 'typeorm', typeorm: { type: 'postgres', url: server.url, extra: { options: '-c default_tablespace=tiny' } } }),
    stop: async () => {
      await server.stop();
      disk.unmount();
    },
  };
}

/** Takes all the room there is, and what becomes free, until it is turned off. */
function diskFull({ path }: TinyDisk): Condition {
  const ballast = join(path, 'ballast');
  let timer: NodeJS.Timeout | undefined;
  return async (isOn) => {
    clearInterval(timer);
    if (!isOn) return rm(ballast);
    fill(ballast);
    timer = setInterval(() => fill(ballast), 5);
  };
}

/** Writes until there is no room left. */
function fill(path: string): void {
  const file = openSync(path, 'a');
  try {
    for (;;) writeSync(file, Buffer.alloc(4_096));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  } finally {
    closeSync(file);
  }
}

/** A disk with a file that is being written at this moment cannot be made read-only. */
async function remount(disk: TinyDisk, isReadOnly: boolean): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      return disk.setReadOnly(isReadOnly);
    } catch (error) {
      if (tries === 500) throw error;
      await sleep(5);
    }
  }
}
