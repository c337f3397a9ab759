import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Browser } from '../e2e/browser.js';
import { ConsumerApplication } from './consumer-application.js';
import { packedPackage } from './packed-package.js';

interface Constellation {
  readonly name: string;
  readonly nest: string;
  readonly type: 'module' | 'commonjs';
}

const CONSTELLATIONS: Constellation[] = [
  { name: 'Nest 12, ES modules', nest: '^12.0.0', type: 'module' },
  { name: 'Nest 11, CommonJS', nest: '^11.0.0', type: 'commonjs' },
];

describe.each(CONSTELLATIONS)('In an empty application ($name)', ({ nest, type }) => {
  let app: ConsumerApplication;

  beforeAll(async () => {
    const dependencies = {
      '@nestjs/common': nest,
      '@nestjs/core': nest,
      '@nestjs/platform-express': nest,
      'reflect-metadata': '^0.2.2',
      rxjs: '^7.8.2',
    };
    app = await ConsumerApplication.create({ type, dependencies });
    await app.copy('app.ts');
  }, 300_000);
  afterAll(() => app?.remove());

  it('installs no optional peer', async () => {
    const { manifest } = await packedPackage();
    for (const name of Object.keys(manifest.peerDependenciesMeta)) {
      await expect(readFile(join(app.folder, 'node_modules', name, 'package.json'))).rejects.toThrow('ENOENT');
    }
  });

  it('compiles, with every declaration of the package checked', async () => {
    await app.compile(['app.ts'], { strict: true });
    const compiled = await readFile(join(app.folder, 'app.js'), 'utf8');
    expect(compiled.includes('require("nestjs-server-session")')).toBe(type === 'commonjs');
  }, 120_000);

  it('keeps a session over HTTP', async () => {
    const started = app.start('app.js', { SESSION_TYPE: 'memory' });
    const [, url = ''] = await started.printed(/listening at (\S+)/);
    const browser = new Browser(url);
    expect((await browser.get('/')).json).toEqual(['tea']);
    expect((await browser.get('/')).json).toEqual(['tea', 'tea']);
    expect((await browser.get('/one')).json).toBe(2);
    expect((await new Browser(url).get('/one')).json).toBe(0);
    await started.stop();
  }, 60_000);

  it('is one copy, however it is loaded', async () => {
    const program = `
      const { createRequire } = await import('node:module');
      const required = createRequire(process.cwd() + '/')('nestjs-server-session');
      const imported = await import('nestjs-server-session');
      console.log(Object.keys(imported).filter((name) => imported[name] !== required[name]).length);`;
    expect(await app.node('--input-type=module', '-e', program)).toBe('0\n');
  });

  it.each([
    ['redis', 'npm install ioredis'],
    ['memcached', 'npm install memcache-client'],
    ['mongodb', 'npm install @nestjs/mongoose mongoose'],
    ['typeorm', 'npm install @nestjs/typeorm typeorm'],
  ])(
    "says at boot what to install for type '%s'",
    async (backEnd, advice) => {
      const refused = app.start('app.js', { SESSION_TYPE: backEnd });
      expect(await refused.ended()).toBe(1);
      expect(refused.output).toContain('MissingPackageError');
      expect(refused.output).toContain(advice);
    },
    60_000,
  );
});
