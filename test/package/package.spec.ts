import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Browser } from '../e2e/browser.js';
import { ROOT, TSC } from './paths.js';
import { runCommand } from './run-command.js';
import { RunningProcess } from './running-process.js';
import { stagePackage } from './stage-package.js';

interface Consumer {
  readonly name: string;
  readonly nest: string;
  readonly type: 'module' | 'commonjs';
}

/** A file, or files by condition. */
type Target = string | { readonly [condition: string]: Target };

interface Manifest {
  readonly exports: Readonly<Record<string, Target>>;
  readonly peerDependenciesMeta: Readonly<Record<string, unknown>>;
}

const CONSUMERS: Consumer[] = [
  { name: 'Nest 12, ES modules', nest: '^12.0.0', type: 'module' },
  { name: 'Nest 11, CommonJS', nest: '^11.0.0', type: 'commonjs' },
];

let work: string;
let tarball: string;
let packed: string[];
let manifest: Manifest;

beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), 'packed-'));
  const staged = await stagePackage();
  try {
    const report = await runCommand('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', work], staged.folder);
    const [{ filename, files }] = JSON.parse(report) as [{ filename: string; files: { path: string }[] }];
    tarball = join(work, filename);
    packed = files.map(({ path }) => path);
    manifest = JSON.parse(await readFile(join(staged.folder, 'package.json'), 'utf8')) as Manifest;
  } finally {
    await staged.remove();
  }
}, 120_000);
afterAll(() => rm(work, { recursive: true, force: true }));

describe('The tarball', () => {
  it('holds the build, the manual and the licence, and nothing else', () => {
    expect(packed).toEqual(
      expect.arrayContaining(['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md', 'SECURITY.md', 'docs/README.md', 'dist/index.js']),
    );
    const other = packed.filter(
      (path) =>
        !/^(package\.json|README\.md|LICENSE|CHANGELOG\.md|SECURITY\.md|docs\/.+|dist\/.+\.(js|d\.ts)|dist\/cjs\/package\.json)$/.test(
          path,
        ),
    );
    expect(other).toEqual([]);
  });

  it('holds every file that "exports" names', () => {
    const targets = Object.values(manifest.exports).flatMap(filesOf);
    expect(packed).toEqual(expect.arrayContaining(targets.map((target) => target.replace(/^\.\//, ''))));
  });
});

function filesOf(target: Target): string[] {
  return typeof target === 'string' ? [target] : Object.values(target).flatMap(filesOf);
}

describe.each(CONSUMERS)('In an empty application ($name)', ({ nest, type }) => {
  let folder: string;
  let app: RunningProcess | undefined;
  const start = (env: Record<string, string>): RunningProcess => (app = RunningProcess.start('app.js', env, folder));

  beforeAll(async () => {
    folder = await mkdtemp(join(work, 'app-'));
    const dependencies = {
      '@nestjs/common': nest,
      '@nestjs/core': nest,
      '@nestjs/platform-express': nest,
      'reflect-metadata': '^0.2.2',
      rxjs: '^7.8.2',
      'nestjs-server-session': `file:${tarball}`,
    };
    await writeFile(join(folder, 'package.json'), JSON.stringify({ private: true, type, dependencies }));
    await copyFile(join(ROOT, 'test/package/consumer/app.ts'), join(folder, 'app.ts'));
    await runCommand('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', '--no-package-lock'], folder);
  }, 300_000);
  afterAll(() => app?.stop('SIGKILL'));

  it('installs no optional peer', async () => {
    for (const name of Object.keys(manifest.peerDependenciesMeta)) {
      await expect(readFile(join(folder, 'node_modules', name, 'package.json'))).rejects.toThrow('ENOENT');
    }
  });

  it('compiles, with every declaration of the package checked', async () => {
    const options = {
      module: 'nodenext',
      target: 'es2023',
      strict: true,
      experimentalDecorators: true,
      emitDecoratorMetadata: true,
      skipLibCheck: false,
      types: ['node'],
      typeRoots: [join(ROOT, 'node_modules/@types')],
    };
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, files: ['app.ts'] }));
    await runCommand(process.execPath, [TSC, '-p', '.'], folder);
    const compiled = await readFile(join(folder, 'app.js'), 'utf8');
    expect(compiled.includes('require("nestjs-server-session")')).toBe(type === 'commonjs');
  }, 120_000);

  it('keeps a session over HTTP', async () => {
    const [, url = ''] = await start({ SESSION_TYPE: 'memory' }).printed(/listening at (\S+)/);
    const browser = new Browser(url);
    expect((await browser.get('/')).json).toEqual(['tea']);
    expect((await browser.get('/')).json).toEqual(['tea', 'tea']);
    expect((await browser.get('/one')).json).toBe(2);
    expect((await new Browser(url).get('/one')).json).toBe(0);
    await app?.stop();
  }, 60_000);

  it('is one copy, however it is loaded', async () => {
    const program = `
      const { createRequire } = await import('node:module');
      const required = createRequire(process.cwd() + '/')('nestjs-server-session');
      const imported = await import('nestjs-server-session');
      console.log(Object.keys(imported).filter((name) => imported[name] !== required[name]).length);`;
    expect(await runCommand(process.execPath, ['--input-type=module', '-e', program], folder)).toBe('0\n');
  });

  it.each([
    ['redis', 'npm install ioredis'],
    ['memcached', 'npm install memcache-client'],
    ['mongodb', 'npm install @nestjs/mongoose mongoose'],
    ['typeorm', 'npm install @nestjs/typeorm typeorm'],
  ])(
    "says at boot what to install for type '%s'",
    async (backEnd, advice) => {
      const refused = start({ SESSION_TYPE: backEnd });
      expect(await refused.ended()).toBe(1);
      expect(refused.output).toContain('MissingPackageError');
      expect(refused.output).toContain(advice);
    },
    60_000,
  );
});
