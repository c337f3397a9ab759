import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { harnessFolder } from './temp-folder.js';

const FORGET_AFTER = 60 * 60 * 1000;

/**
 * Does something slow that may fail for reasons that do not change soon (no network, no mirror).
 * A failure is written down in the temp folder, so that the other test files do not wait for it
 * again; after an hour it is tried afresh.
 */
export async function unlessItFailedLately<T>(name: string, attempt: () => Promise<T>): Promise<T> {
  const note = join(await harnessFolder('failures'), name);
  const written = await stat(note).catch(() => undefined);
  if (written !== undefined && Date.now() - written.mtimeMs < FORGET_AFTER) {
    const reason = await readFile(note, 'utf8').catch(() => '');
    throw new Error(`${reason} (remembered: delete ${note} to try again)`);
  }
  try {
    const result = await attempt();
    await rm(note, { force: true });
    return result;
  } catch (error) {
    await writeFile(note, error instanceof Error ? error.message : String(error));
    throw error;
  }
}
