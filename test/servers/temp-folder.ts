import { chown, mkdir, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SystemUser } from './system-user.js';

/**
 * The harness's own corner of the temp folder: templates, locks, notes and data folders.
 * It is per user, because one user cannot write into the folder of another.
 */
export async function harnessFolder(name: string): Promise<string> {
  const folder = join(tmpdir(), `server-session-servers-${process.getuid?.() ?? 0}`, name);
  await mkdir(folder, { recursive: true });
  return folder;
}

/** A new empty folder, owned by `owner` where one is given. */
export async function makeTempFolder(prefix: string, owner?: SystemUser): Promise<string> {
  const folder = await mkdtemp(join(await harnessFolder('run'), `${prefix}-`));
  if (owner !== undefined) await chown(folder, owner.uid, owner.gid);
  return folder;
}
