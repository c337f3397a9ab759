import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ROOT } from './paths.js';
import { runCommand } from './run-command.js';

/** What is published beside the build. */
export const PUBLISHED = ['package.json', 'README.md', 'CHANGELOG.md', 'SECURITY.md', 'LICENSE', 'docs'];

/** What a build and `npm pack` read. */
export const SOURCES = [...PUBLISHED, 'lib', 'rolldown.config.js', 'tsconfig.json', 'tsconfig.build.json'];

/** The package as it is published, in a folder of its own: a build in the project itself would disturb other tests. */
export interface StagedPackage {
  readonly folder: string;
  remove(): Promise<void>;
}

/** Builds a copy of the package. It lies inside the project, so that it finds the project's dependencies. @param build the command that does it. */
export async function stagePackage(build: readonly string[] = ['npm', 'run', 'build', '--silent']): Promise<StagedPackage> {
  const cache = join(ROOT, '.cache');
  await mkdir(cache, { recursive: true });
  const folder = await mkdtemp(join(cache, 'package-'));
  await Promise.all(SOURCES.map((name) => cp(join(ROOT, name), join(folder, name), { recursive: true })));
  const [command = '', ...args] = build;
  await runCommand(command, args, folder);
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) };
}
