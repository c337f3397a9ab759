import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:http2';
import { join } from 'node:path';
import { Browser } from '../e2e/browser.js';
import { freePort } from '../servers/free-port.js';
import { startMemcached, startMongo, startPostgres, startRedis, type TestServer } from '../servers/index.js';
import { ConsumerApplication } from './consumer-application.js';
import { nodeRelease } from './node-release.js';
import { ROOT } from './paths.js';
import type { RunningProcess } from './running-process.js';

/** The packages of other people that are installed beside ours. */
interface Constellation {
  readonly name: string;
  readonly nest: 11 | 12;
  readonly type: 'module' | 'commonjs';
  readonly strict: boolean;
  /** Optional peers; none where it is left out. */
  readonly peers?: Readonly<Record<string, string>>;
}

const ALWAYS = { 'memcache-client': '^1.0.0', '@msgpack/msgpack': '^3.0.0', pg: '^8.23.0' };
const OLD_PEERS = { ...ALWAYS, ioredis: '^5.4.0', mongoose: '^8.0.0', typeorm: '^0.3.20' };
const NEW_PEERS = { ...ALWAYS, ioredis: '^6.0.0', mongoose: '^9.0.0', typeorm: '^1.0.0' };

const CONSTELLATIONS: readonly Constellation[] = [
  { name: 'Nest 11, CommonJS, no peers', nest: 11, type: 'commonjs', strict: false },
  { name: 'Nest 11, ES modules, ioredis 6, mongoose 9, typeorm 1', nest: 11, type: 'module', strict: true, peers: NEW_PEERS },
  { name: 'Nest 11, CommonJS, ioredis 5, mongoose 8, typeorm 0.3', nest: 11, type: 'commonjs', strict: true, peers: OLD_PEERS },
  { name: 'Nest 12, ES modules, no peers', nest: 12, type: 'module', strict: true },
  { name: 'Nest 12, ES modules, ioredis 5, mongoose 8, typeorm 0.3', nest: 12, type: 'module', strict: false, peers: OLD_PEERS },
  { name: 'Nest 12, CommonJS, ioredis 6, mongoose 9, typeorm 1', nest: 12, type: 'commonjs', strict: true, peers: NEW_PEERS },
];

const INSTALL = 400_000;
const RUN = 120_000;

describe.each(CONSTELLATIONS)('$name', ({ nest, type, strict, peers }) => {
  let app: ConsumerApplication;

  beforeAll(async () => {
    app = await ConsumerApplication.create({
      type,
      dependencies: dependenciesOf(nest, peers),
      // typeorm has not yet declared that it runs beside ioredis 6.
      ...(peers ? { overrides: { typeorm: { ioredis: '$ioredis' } } } : {}),
    });
    await Promise.all(['app.ts', 'entries.ts', 'conformance.ts', 'map.repository.ts', 'health.ts'].map((name) => app.copy(name)));
    await app.compile(['app.ts', 'entries.ts', 'conformance.ts', ...(peers ? ['health.ts'] : [])], strict ? { strict } : {});
  }, INSTALL);
  afterAll(() => app?.remove());

  it('is compiled as it says, with every declaration checked', async () => {
    expect((await readFile(join(app.folder, 'app.js'), 'utf8')).includes('require("nestjs-server-session")')).toBe(type === 'commonjs');
  });

  it('Express', () => serve({}, shop), RUN);
  it('Fastify', () => serve({ ADAPTER: 'fastify' }, shop), RUN);
  it('prefix and versions, Express', () => serve({ SHAPE: 'versioned' }, (url) => shop(url, '/api/v1')), RUN);
  it('prefix and versions, Fastify', () => serve({ SHAPE: 'versioned', ADAPTER: 'fastify' }, (url) => shop(url, '/api/v1')), RUN);
  it('hybrid', async () => serve({ SHAPE: 'hybrid', RPC_PORT: String(await freePort()) }, askForPrice), RUN);
  it('HTTP/2', () => serve({ SHAPE: 'http2' }, shopOverHttp2), RUN);

  it.each([22, 24])(
    'Node %i',
    async (major) => {
      const node = await nodeRelease(major);
      await serve({}, shop, node);
      await serve({ ADAPTER: 'fastify' }, shop, node);
    },
    INSTALL,
  );

  it('one copy', async () => {
    const program = `
      const { createRequire } = await import('node:module');
      const required = createRequire(process.cwd() + '/')('nestjs-server-session');
      const imported = await import('nestjs-server-session');
      console.log(Object.keys(imported).filter((name) => imported[name] !== required[name]).length);`;
    expect(await app.node('--input-type=module', '-e', program)).toBe('0\n');
  });

  it(
    '/testing',
    async () => {
      const output = await app.node('--test', '--test-reporter=tap', 'conformance.js');
      expect(output).toMatch(/^# fail 0$/m);
      expect(Number(/^# pass (\d+)$/m.exec(output)?.[1])).toBeGreaterThan(50);
    },
    RUN,
  );

  it('/interop', async () => expect(await app.node('entries.js')).toBe('NullSessionError describeSessionRepository\n'), RUN);

  if (peers === undefined) {
    it('no peer is installed', async () => {
      for (const name of await optionalPeers()) {
        await expect(readFile(join(app.folder, 'node_modules', name, 'package.json'))).rejects.toThrow('ENOENT');
      }
    });

    it(
      'missing packages are named',
      async () => {
        const advice = {
          redis: 'ioredis',
          memcached: 'memcache-client',
          mongodb: '@nestjs/mongoose mongoose',
          typeorm: '@nestjs/typeorm typeorm',
        };
        for (const [backEnd, packages] of Object.entries(advice)) {
          const refused = app.start('app.js', { SESSION_OPTIONS: JSON.stringify({ type: backEnd }) });
          expect(await refused.ended()).toBe(1);
          expect(refused.output).toContain('MissingPackageError');
          expect(refused.output).toContain(`npm install ${packages}`);
        }
      },
      INSTALL,
    );
  } else {
    const keeps = (options: object): Promise<void> => serve({ SESSION_OPTIONS: JSON.stringify(options) }, shop);
    /** Free of what other constellations keep. */
    const keyPrefix = `c${randomBytes(4).toString('hex')}:`;

    it('Redis', () => using(startRedis, ({ url }) => keeps({ type: 'redis', redis: { url }, keyPrefix })), RUN);
    it('Redis, MessagePack', () => using(startRedis, ({ url }) => keeps({ type: 'redis', redis: { url }, serializer: 'msgpack' })), RUN);
    it(
      'Memcached',
      () => using(startMemcached, ({ host, port }) => keeps({ type: 'memcached', memcached: { servers: [`${host}:${port}`] } })),
      RUN,
    );
    it('MongoDB', () => using(startMongo, ({ url }) => keeps({ type: 'mongodb', mongodb: { uri: url, db: 'shop' } })), RUN);
    it('PostgreSQL', () => using(startPostgres, ({ url }) => keeps({ type: 'typeorm', typeorm: { url } })), RUN);

    it(
      '/health',
      async () => {
        const started = app.start('health.js');
        const { status, json } = await new Browser(await addressOf(started)).get('/health');
        expect([status, json]).toMatchObject([200, { status: 'ok', info: { sessions: { status: 'up' } } }]);
        await started.stop();
      },
      RUN,
    );
  }

  /** Starts the application, visits it, and stops it. */
  async function serve(env: Readonly<Record<string, string>>, visit: (url: string) => Promise<void>, node?: string): Promise<void> {
    const started = app.start('app.js', env, node);
    await visit(await addressOf(started));
    await started.stop();
    expect(started.output).not.toMatch(/warning/i);
  }
});

async function optionalPeers(): Promise<string[]> {
  const manifest = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { peerDependenciesMeta: object };
  return Object.keys(manifest.peerDependenciesMeta);
}

function dependenciesOf(nest: number, peers: Readonly<Record<string, string>> | undefined): Record<string, string> {
  const ofNest = [
    'common',
    'core',
    'microservices',
    'platform-express',
    'platform-fastify',
    ...(peers ? ['mongoose', 'terminus', 'typeorm'] : []),
  ];
  return {
    ...Object.fromEntries(ofNest.map((name) => [`@nestjs/${name}`, `^${nest}.0.0`])),
    'reflect-metadata': '^0.2.2',
    rxjs: '^7.8.2',
    ...peers,
  };
}

async function addressOf(started: RunningProcess): Promise<string> {
  const [, url = ''] = await started.printed(/listening at (\S+)/);
  return url;
}

async function using(start: () => Promise<TestServer>, work: (server: TestServer) => Promise<void>): Promise<void> {
  const server = await start();
  try {
    await work(server);
  } finally {
    await server.stop();
  }
}

/** Two clients fill their baskets. */
async function shop(url: string, prefix = ''): Promise<void> {
  const browser = new Browser(url);
  expect((await browser.get(prefix)).json).toEqual(['tea']);
  expect((await browser.get(prefix)).json).toEqual(['tea', 'tea']);
  expect((await browser.get(`${prefix}/one`)).json).toBe(2);
  expect((await new Browser(url).get(`${prefix}/one`)).json).toBe(0);
}

async function askForPrice(url: string): Promise<void> {
  await shop(url);
  const browser = new Browser(url);
  await browser.get('');
  expect((await browser.get('price')).json).toBe(3);
}

async function shopOverHttp2(url: string): Promise<void> {
  const client = connect(url);
  try {
    const first = await ask({});
    expect(first.body).toBe('["tea"]');
    expect((await ask({ cookie: first.cookie.split(';')[0] ?? '' })).body).toBe('["tea","tea"]');
  } finally {
    client.close();
  }

  async function ask(headers: Record<string, string>): Promise<{ body: string; cookie: string }> {
    const stream = client.request({ ':path': '/', ...headers });
    let cookie = '';
    stream.on('response', (answered) => (cookie = answered['set-cookie']?.[0] ?? ''));
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    return { body: Buffer.concat(chunks).toString(), cookie };
  }
}
