import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { packedPackage } from './packed-package.js';
import { ROOT } from './paths.js';
import { runCommand } from './run-command.js';

/** What V8 writes for NODE_V8_COVERAGE: every script that was run. */
interface Coverage {
  readonly result: readonly { readonly url: string }[];
}

let folder: string;

beforeAll(async () => {
  await mkdir(join(ROOT, '.cache'), { recursive: true });
  // Inside the project, so that it finds Nest.
  folder = await mkdtemp(join(ROOT, '.cache', 'start-'));
  const { tarball } = await packedPackage();
  await runCommand('tar', ['-xzf', tarball, '-C', folder], ROOT);
}, 300_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The files of the package that a program loads. */
async function loadedBy(...options: object[]): Promise<string[]> {
  const coverage = await mkdtemp(join(folder, 'coverage-'));
  const dist = pathToFileURL(join(folder, 'package', 'dist')).href;
  const args = [join(ROOT, 'test/package/consumer/start.js'), `${dist}/index.js`, ...options.map((given) => JSON.stringify(given))];
  await runCommand(process.execPath, args, folder, { NODE_V8_COVERAGE: coverage });
  const reports = await Promise.all((await readdir(coverage)).map((name) => readFile(join(coverage, name), 'utf8')));
  const urls = reports.flatMap((report) => (JSON.parse(report) as Coverage).result.map(({ url }) => url));
  return [...new Set(urls)].filter((url) => url.startsWith(dist)).map((url) => url.slice(dist.length + 1));
}

/** The names of chunks. One that several others share may come with a file of one line beside it, under the same name. */
function chunksOf(files: readonly string[]): string[] {
  const names = files.map((file) => file.replace(/^chunks\//, '').replace(/\.js$/, ''));
  return [...new Set(names.map((name) => name.replace(/2(?=\.|$)/, '')))].sort();
}

describe('Starting', () => {
  it('loads two files with the import of the package', async () => {
    expect(await loadedBy()).toEqual(['index.js', 'chunks/core.js']);
  }, 60_000);

  it.each([
    [{ type: 'memory' }, ['end-of-turn', 'memory-session.repository', 'memory.options']],
    [{ type: 'null' }, ['null-session.repository', 'null.options']],
  ])(
    'loads nothing for %j but what that back end needs',
    async (options, own) => {
      const files = await loadedBy(options);
      const always = ['core', 'index'];
      expect(chunksOf(files)).toEqual([...always, ...own].sort());
    },
    60_000,
  );
});
