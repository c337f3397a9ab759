import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** The last lines of the file `log` in a folder. */
export async function logTail(folder: string): Promise<string> {
  const text = await readFile(join(folder, 'log'), 'utf8').catch(() => '');
  return text.trimEnd().split('\n').slice(-30).join('\n');
}
