import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ROOT, TSC } from '../package/paths.js';
import { runCommand } from '../package/run-command.js';
import { stagePackage } from '../package/stage-package.js';

export interface BuiltSamples {
  /** Holds the compiled samples, each under its own name. */
  readonly folder: string;
  remove(): Promise<void>;
}

/** Compiles the samples against a fresh build of the package, as `npm start` does, beside the project's own `dist`. */
export async function buildSamples(): Promise<BuiltSamples> {
  const staged = await stagePackage();
  const folder = join(staged.folder, 'dist-sample');
  const compilerOptions = {
    rootDir: join(ROOT, 'sample'),
    outDir: folder,
    paths: { 'nestjs-server-session': [join(staged.folder, 'dist/index.d.ts')] },
  };
  const config = join(staged.folder, 'tsconfig.sample.json');
  await writeFile(
    config,
    JSON.stringify({ extends: join(ROOT, 'sample/tsconfig.json'), compilerOptions, include: [join(ROOT, 'sample')] }),
  );
  await runCommand(process.execPath, [TSC, '-p', config], ROOT);
  return { folder, remove: staged.remove };
}
