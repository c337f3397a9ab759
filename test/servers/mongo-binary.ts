import { access, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withLock } from './lock.js';
import { unlessItFailedLately } from './remembered-failure.js';
import { runCommand } from './run-command.js';

export const JONGODB = '@jongodb/memory-server-bin-linux-x64-gnu';
const DOWNLOAD_LIMIT = 20_000;
const DOWNLOAD = `
  const give = (text, code) => process.stdout.write('\\n' + text, () => process.exit(code));
  process.on('uncaughtException', (error) => give(error.message, 1));
  const { MongoBinary } = await import('mongodb-memory-server-core');
  give(await MongoBinary.getPath({}), 0);
`;

/**
 * The path of a mongod that mongodb-memory-server has downloaded, or downloads now.
 * In a process of its own, because a download that hangs cannot be called off from outside.
 */
export async function downloadedMongod(): Promise<string> {
  return withLock('mongodb-memory-server', () =>
    unlessItFailedLately('mongodb-memory-server', async () => {
      const output = await runCommand(process.execPath, ['--input-type=module', '--eval', DOWNLOAD], {
        cwd: dirname(fileURLToPath(import.meta.url)),
        env: { ...process.env, NODE_OPTIONS: '' },
        timeout: DOWNLOAD_LIMIT,
      });
      const path = output.trim().split('\n').at(-1) ?? '';
      // A build for another distribution downloads well and then lacks its libraries.
      await runCommand(path, ['--version'], { timeout: 10_000 });
      return path;
    }),
  );
}

/** The wire-compatible native server from npm, where it is installed. */
export async function jongodbBinary(): Promise<string | undefined> {
  const manifest = jongodbManifest();
  if (manifest === undefined) return undefined;
  const binary = join(dirname(manifest), 'bin', 'jongodb');
  return access(binary).then(
    () => binary,
    () => undefined,
  );
}

/** It answers `buildInfo` as the MongoDB it stands in for; this is its own version. */
export async function jongodbVersion(): Promise<string> {
  const manifest = jongodbManifest();
  const text = manifest === undefined ? '{}' : await readFile(manifest, 'utf8');
  const { version = 'unknown' } = JSON.parse(text) as { version?: string };
  return version;
}

function jongodbManifest(): string | undefined {
  try {
    return createRequire(import.meta.url).resolve(`${JONGODB}/package.json`);
  } catch {
    return undefined;
  }
}
