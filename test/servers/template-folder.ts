import { chown, mkdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { withLock } from './lock.js';
import { runCommand } from './run-command.js';
import type { SystemUser } from './system-user.js';
import { harnessFolder, makeTempFolder } from './temp-folder.js';

/**
 * Initialising a database takes seconds, copying an initialised one takes none: it is made once
 * per version, kept in the temp folder, and copied for each start.
 */
export async function copyTemplate(
  name: string,
  target: string,
  user: SystemUser | undefined,
  build: (folder: string) => Promise<void>,
): Promise<void> {
  const template = join(await harnessFolder('templates'), name.replaceAll(/[^\w.-]+/g, '-'));
  if (!(await exists(template))) {
    await withLock(`template-${name.replaceAll(/[^\w.-]+/g, '-')}`, async () => {
      if (!(await exists(template))) await make(template, user, build);
    });
  }
  // GNU cp shares the blocks where the file system can; cp keeps the owner, which fs.cp does not.
  const share = process.platform === 'linux' ? ['--reflink=auto'] : [];
  await runCommand('cp', ['-a', ...share, template, target], { timeout: 60_000 });
}

/** Renamed into place when complete, so that nobody ever copies half a template. */
async function make(template: string, user: SystemUser | undefined, build: (folder: string) => Promise<void>): Promise<void> {
  const workshop = await makeTempFolder('template', user);
  try {
    const folder = join(workshop, 'data');
    await mkdir(folder, { mode: 0o700 });
    if (user !== undefined) await chown(folder, user.uid, user.gid);
    await build(folder);
    await rename(folder, template).catch(async (error: unknown) => {
      if (!(await exists(template))) throw error;
    });
  } finally {
    await rm(workshop, { recursive: true, force: true });
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
