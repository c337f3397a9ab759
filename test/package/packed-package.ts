import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { withLock } from '../servers/lock.js';
import { ROOT } from './paths.js';
import { runCommand } from './run-command.js';
import { SOURCES, stagePackage } from './stage-package.js';

/** A file, or files by condition. */
export type Target = string | { readonly [condition: string]: Target };

export interface Manifest {
  readonly exports: Readonly<Record<string, Target>>;
  readonly peerDependenciesMeta: Readonly<Record<string, unknown>>;
}

export interface PackedPackage {
  readonly tarball: string;
  /** What is in it. */
  readonly files: readonly string[];
  readonly manifest: Manifest;
}

/** The tarball as it is published. Packed once for all test files, and again when a source has changed. */
export async function packedPackage(): Promise<PackedPackage> {
  const folder = join(ROOT, '.cache', 'packed', await hashOfSources());
  const list = join(folder, 'files.json');
  await withLock('packed-package', async () => {
    if (await exists(list)) return;
    await rm(join(ROOT, '.cache', 'packed'), { recursive: true, force: true });
    await pack(folder);
  });
  return {
    tarball: join(folder, 'package.tgz'),
    files: JSON.parse(await readFile(list, 'utf8')) as string[],
    manifest: JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as Manifest,
  };
}

async function pack(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const staged = await stagePackage();
  try {
    const report = await runCommand('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], staged.folder);
    const [{ filename, files }] = JSON.parse(report) as [{ filename: string; files: { path: string }[] }];
    await rename(join(folder, filename), join(folder, 'package.tgz'));
    await writeFile(join(folder, 'files.json'), JSON.stringify(files.map(({ path }) => path)));
  } finally {
    await staged.remove();
  }
}

async function hashOfSources(): Promise<string> {
  const hash = createHash('sha256');
  for (const source of SOURCES) {
    const path = join(ROOT, source);
    const names = await readdir(path, { recursive: true }).catch(() => ['']);
    for (const name of names.sort()) hash.update(`${source}/${name}\n`).update(await readFile(join(path, name)).catch(() => ''));
  }
  return hash.digest('hex').slice(0, 16);
}

async function exists(path: string): Promise<boolean> {
  return readFile(path).then(
    () => true,
    () => false,
  );
}
