import { access, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ROOT } from './paths.js';
import { runCommand } from './run-command.js';

/** The newest Node of a major version, from its npm package for this platform; fetched once. */
export async function nodeRelease(major: number): Promise<string> {
  const name = `node-${process.platform}-${process.arch}`;
  const folder = join(ROOT, '.cache', 'node', String(major));
  const binary = join(folder, 'node_modules', name, 'bin', 'node');
  const found = await access(binary).then(
    () => true,
    () => false,
  );
  if (!found) {
    await mkdir(folder, { recursive: true });
    await runCommand(
      'npm',
      ['install', '--prefix', folder, '--prefer-offline', '--no-save', '--no-audit', '--no-fund', `${name}@${major}`],
      folder,
    );
  }
  return binary;
}
