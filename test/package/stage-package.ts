import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ROOT, TSC } from './paths.js';
import { runCommand } from './run-command.js';

/** What `npm pack` finds beside `dist`. */
const PACKED_FILES = ['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md', 'docs'];

/** The package as it is published, in a folder of its own: a build in the project itself would disturb other tests. */
export interface StagedPackage {
  readonly folder: string;
  remove(): Promise<void>;
}

/** Builds the package. The folder lies inside the project, so that what is built there finds its dependencies. */
export async function stagePackage(): Promise<StagedPackage> {
  const cache = join(ROOT, '.cache');
  await mkdir(cache, { recursive: true });
  const folder = await mkdtemp(join(cache, 'package-'));
  await Promise.all(PACKED_FILES.map((name) => cp(join(ROOT, name), join(folder, name), { recursive: true })));
  await runCommand(process.execPath, [TSC, '-p', join(ROOT, 'tsconfig.build.json'), '--outDir', join(folder, 'dist')], ROOT);
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) };
}
