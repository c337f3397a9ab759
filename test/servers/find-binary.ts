import { constants } from 'node:fs';
import { access, readdir, realpath } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';

const POSTGRES_VERSIONS = '/usr/lib/postgresql';

/** The full path of a program, from PATH or from where Debian puts servers. */
export async function findBinary(...names: readonly string[]): Promise<string | undefined> {
  const folders = [
    ...(process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== ''),
    '/usr/sbin',
    '/usr/bin',
    '/usr/local/sbin',
    '/usr/local/bin',
    ...(await debianPostgresFolders()),
  ];
  for (const name of names) {
    for (const folder of folders) {
      if (await isExecutable(join(folder, name))) return join(folder, name);
    }
  }
  return undefined;
}

/** A program that comes with another one: beside it first, so that both are of one version. */
export async function findCompanion(binary: string, name: string): Promise<string> {
  for (const folder of [dirname(await realpath(binary)), dirname(binary)]) {
    if (await isExecutable(join(folder, name))) return join(folder, name);
  }
  const elsewhere = await findBinary(name);
  if (elsewhere === undefined) throw new Error(`${name} is missing: it comes with ${binary}`);
  return elsewhere;
}

/** Debian keeps the server programs of PostgreSQL out of PATH; the newest version comes first. */
async function debianPostgresFolders(): Promise<string[]> {
  const versions = await readdir(POSTGRES_VERSIONS).catch(() => []);
  return versions.sort((a, b) => Number(b) - Number(a)).map((version) => join(POSTGRES_VERSIONS, version, 'bin'));
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}
