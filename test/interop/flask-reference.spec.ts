import 'reflect-metadata';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller, Get, type INestApplication, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Redis } from 'ioredis';
import { MongoClient } from 'mongodb';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ServerSession, ServerSessionModule, Session, sessionOptionsFromEnv } from 'nestjs-server-session';
import { Browser } from '../e2e/browser.js';
import { startMemcached, startMongo, startRedis, type TestServer } from '../servers/index.js';
import { type FlaskConfig, FlaskServer } from './support/flask-server.js';
import { runPython } from './support/python.js';

/** The quick start of the reference's manual, as a controller. */
@Controller()
class QuickstartController {
  @Get('set')
  set(@Session() session: ServerSession): string {
    session.set('key', 'value');
    return 'ok';
  }

  @Get('get')
  get(@Session() session: ServerSession): string {
    return session.get('key', 'not set');
  }
}

const COUNT_VISITS = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM visits').fetchone()[0])";

/** What a client sees of the quick start. */
interface View {
  readonly set: [status: number, text: string];
  readonly get: string;
  readonly withoutCookie: string;
  readonly cookie: {
    readonly name: string;
    readonly path: string | undefined;
    readonly domain: string | undefined;
    readonly httpOnly: boolean;
    readonly secure: boolean;
    /** Seconds; undefined for a cookie that ends with the browser. */
    readonly lifetime: number | undefined;
    readonly isSigned: boolean;
  };
}

const running: { stop(): Promise<void> }[] = [];
let redis: TestServer;
let memcached: TestServer;
let mongo: TestServer;
let dir: string;

beforeAll(async () => {
  [redis, memcached, mongo] = await Promise.all([startRedis(), startMemcached(), startMongo()]);
  dir = await mkdtemp(join(tmpdir(), 'flask-reference-'));
});

afterAll(async () => {
  await Promise.all([redis?.stop(), memcached?.stop(), mongo?.stop(), rm(dir, { recursive: true, force: true })]);
});

afterEach(async () => {
  await Promise.all(running.splice(0).map((one) => one.stop()));
});

describe('beside Flask-Session itself, with the same configuration, a client sees the same of', () => {
  /** A key, a value for the reference, and the same one as an environment variable where that looks otherwise. */
  const KEYS: [title: string, config: FlaskConfig, env?: Record<string, string>][] = [
    ['the quick start', {}],
    ['SESSION_COOKIE_NAME', { SESSION_COOKIE_NAME: 'shop' }],
    ['SESSION_COOKIE_DOMAIN', { SESSION_COOKIE_DOMAIN: 'shop.example.com' }],
    ['SESSION_COOKIE_PATH', { SESSION_COOKIE_PATH: '/shop' }],
    ['SESSION_COOKIE_HTTPONLY', { SESSION_COOKIE_HTTPONLY: false }],
    ['SESSION_COOKIE_SECURE', { SESSION_COOKIE_SECURE: true }],
    ['PERMANENT_SESSION_LIFETIME', { PERMANENT_SESSION_LIFETIME: 3600 }],
    ['SESSION_PERMANENT', { SESSION_PERMANENT: false }],
    ['SESSION_USE_SIGNER', { SESSION_USE_SIGNER: true, SECRET_KEY: 'a secret' }],
    ['SESSION_KEY_PREFIX', { SESSION_KEY_PREFIX: 'shop:' }],
  ];

  for (const [title, config] of KEYS)
    it(`${title}`, async () => {
      const reference = await viewOf(await startFlask({ SESSION_TYPE: 'redis', SESSION_REDIS: redis.url, ...config }));
      const ours = await viewOf(await startOurs({ SESSION_TYPE: 'redis', SESSION_REDIS: redis.url, ...config }));
      expect(ours).toEqual(reference);
      expect(ours).toMatchObject({ set: [200, 'ok'], get: 'value', withoutCookie: 'not set' });
    });

  it('SESSION_TYPE memcached and SESSION_MEMCACHED', async () => {
    await compare({ SESSION_TYPE: 'memcached', SESSION_MEMCACHED: `${memcached.host}:${memcached.port}` });
  });

  it('SESSION_TYPE filesystem', async () => {
    const [theirs, own] = await folders();
    await compare({ SESSION_TYPE: 'filesystem', SESSION_FILE_DIR: theirs }, { SESSION_FILE_DIR: own });
  });

  it('SESSION_TYPE mongodb', async () => {
    await compare({ SESSION_TYPE: 'mongodb', SESSION_MONGODB: mongo.url });
  });

  it('SESSION_TYPE sqlalchemy', async () => {
    const [theirs, own] = await folders();
    await compare(
      { SESSION_TYPE: 'sqlalchemy', SQLALCHEMY_DATABASE_URI: `sqlite:///${theirs}/flask.db` },
      { SQLALCHEMY_DATABASE_URI: `sqlite:///${own}/ours.db` },
    );
  });

  it('SESSION_TYPE null: reading is possible, and a write fails', async () => {
    for (const url of [
      await startFlask({ SESSION_TYPE: 'null' }),
      await startOurs({ SESSION_TYPE: 'null' }),
      await startFlask({}),
      await startOurs({}),
    ]) {
      const browser = new Browser(url);
      expect((await browser.get('/get/')).text).toBe('not set');
      const { status, cookies } = await browser.get('/set/');
      expect([status, cookies]).toEqual([500, []]);
    }
  });
});

describe('beside Flask-Session itself, with the same configuration, the store has', () => {
  it('the prefix of SESSION_KEY_PREFIX in front of every session', async () => {
    const config = { SESSION_TYPE: 'redis', SESSION_REDIS: redis.url };
    const client = new Redis(redis.url);
    try {
      await client.flushdb();
      await new Browser(await startFlask({ ...config, SESSION_KEY_PREFIX: 'theirs:' })).get('/set/');
      await new Browser(await startOurs({ ...config, SESSION_KEY_PREFIX: 'ours:' })).get('/set/');
      const keys = await client.keys('*');
      expect(new Set(keys.map((key) => key.split(':')[0]))).toEqual(new Set(['theirs', 'ours']));
    } finally {
      client.disconnect();
    }
  });

  it('a time to live of PERMANENT_SESSION_LIFETIME, also where SESSION_PERMANENT is false', async () => {
    const config = { SESSION_TYPE: 'redis', SESSION_REDIS: redis.url, PERMANENT_SESSION_LIFETIME: 600, SESSION_PERMANENT: false };
    const client = new Redis(redis.url);
    try {
      await client.flushdb();
      await new Browser(await startFlask({ ...config, SESSION_KEY_PREFIX: 'theirs:' })).get('/set/');
      await new Browser(await startOurs({ ...config, SESSION_KEY_PREFIX: 'ours:' })).get('/set/');
      const sessions = (await client.keys('*')).filter((key) => /^(theirs|ours):[\w-]+$/.test(key));
      expect(sessions.length).toBeGreaterThanOrEqual(2);
      for (const key of sessions) {
        expect(await client.ttl(key)).toBeGreaterThan(590);
        expect(await client.ttl(key)).toBeLessThanOrEqual(600);
      }
    } finally {
      client.disconnect();
    }
  });

  it('files of SESSION_FILE_MODE in SESSION_FILE_DIR, not many more than SESSION_FILE_THRESHOLD', async () => {
    const [theirs, own] = await folders();
    const config = { SESSION_TYPE: 'filesystem', SESSION_FILE_THRESHOLD: 5 };
    const applications = [
      [theirs, await startFlask({ ...config, SESSION_FILE_DIR: theirs, SESSION_FILE_MODE: 0o640 })],
      [own, await startOurs({ ...config, SESSION_FILE_DIR: own, SESSION_FILE_MODE: '0640' })],
    ] as const;
    for (const [folder, url] of applications) {
      let last = new Browser(url);
      for (let count = 0; count < 15; count++) await (last = new Browser(url)).get('/set/');
      expect((await last.get('/get/')).text).toBe('value');
      const files = await sessionFilesIn(folder);
      expect(files.length).toBeGreaterThan(1);
      expect(files.length).toBeLessThanOrEqual(7);
      for (const file of files) expect((await stat(file)).mode & 0o777).toBe(0o640);
    }
  });

  it('the database of SESSION_MONGODB_DB and the collection of SESSION_MONGODB_COLLECT', async () => {
    const config = { SESSION_TYPE: 'mongodb', SESSION_MONGODB: mongo.url, SESSION_MONGODB_DB: 'shop' };
    await new Browser(await startFlask({ ...config, SESSION_MONGODB_COLLECT: 'theirs' })).get('/set/');
    await new Browser(await startOurs({ ...config, SESSION_MONGODB_COLLECT: 'ours' })).get('/set/');
    const client = new MongoClient(mongo.url);
    try {
      for (const name of ['theirs', 'ours']) expect(await client.db('shop').collection(name).countDocuments()).toBeGreaterThan(0);
    } finally {
      await client.close();
    }
  });

  it('the table of SESSION_SQLALCHEMY_TABLE', async () => {
    const [theirs, own] = await folders();
    const config = { SESSION_TYPE: 'sqlalchemy', SESSION_SQLALCHEMY_TABLE: 'visits' };
    await new Browser(await startFlask({ ...config, SQLALCHEMY_DATABASE_URI: `sqlite:///${theirs}/flask.db` })).get('/set/');
    await new Browser(await startOurs({ ...config, SQLALCHEMY_DATABASE_URI: `sqlite:///${own}/ours.db` })).get('/set/');
    for (const file of [`${theirs}/flask.db`, `${own}/ours.db`]) {
      const count = await runPython<number>(COUNT_VISITS, [], [file]);
      expect(count).toBeGreaterThan(0);
    }
  });
});

// What docs/coming-from-flask.md says about them.
describe('on purpose, beside Flask-Session itself', () => {
  const applications: { stop(): Promise<void> }[] = [];
  let flask: string;
  let ours: string;

  beforeAll(async () => {
    const config = { SESSION_TYPE: 'redis', SESSION_REDIS: redis.url };
    [flask, ours] = await Promise.all([startFlask(config, applications), startOurs(config, applications)]);
  });

  afterAll(async () => {
    await Promise.all(applications.map((one) => one.stop()));
  });

  it('a request that only reads creates no session and sets no cookie', async () => {
    expect((await new Browser(flask).get('/get/')).cookies).toHaveLength(1);
    expect((await new Browser(ours).get('/get/')).cookies).toEqual([]);
  });

  it('the cookie is not sent again with every response', async () => {
    const cookiesOfReading = async (url: string): Promise<number> => {
      const browser = new Browser(url);
      await browser.get('/set/');
      return (await browser.get('/get/')).cookies.length;
    };
    expect([await cookiesOfReading(flask), await cookiesOfReading(ours)]).toEqual([1, 0]);
  });

  it('the cookie says SameSite=Lax', async () => {
    const sameSite = async (url: string): Promise<unknown> => (await new Browser(url).get('/set/')).cookies[0]?.sameSite;
    expect([await sameSite(flask), await sameSite(ours)]).toEqual([undefined, 'lax']);
  });

  it('an id that the server did not issue begins no session', async () => {
    const planted = 'planted-by-somebody-else';
    const idAfter = async (url: string): Promise<boolean> => {
      const browser = new Browser(url);
      browser.jar.set('session', planted);
      await browser.get('/set/');
      return browser.jar.get('session') === planted;
    };
    expect([await idAfter(flask), await idAfter(ours)]).toEqual([true, false]);
  });

  it('the store does not hold the ids', async () => {
    const client = new Redis(redis.url);
    try {
      const isInStore = async (url: string): Promise<boolean> => {
        const browser = new Browser(url);
        await browser.get('/set/');
        return (await client.exists(`session:${browser.jar.get('session')}`)) === 1;
      };
      expect([await isInStore(flask), await isInStore(ours)]).toEqual([true, false]);
    } finally {
      client.disconnect();
    }
  });
});

async function compare(config: FlaskConfig, ourEnv: Record<string, string> = {}): Promise<void> {
  const reference = await viewOf(await startFlask(config));
  const ours = await viewOf(await startOurs({ ...config, ...ourEnv }));
  expect(ours).toEqual(reference);
  expect(ours).toMatchObject({ set: [200, 'ok'], get: 'value', withoutCookie: 'not set' });
}

async function startFlask(config: FlaskConfig, keep = running): Promise<string> {
  const flask = await FlaskServer.start(config);
  keep.push(flask);
  return flask.url;
}

/** Ours, set up by environment variables of the same names. */
async function startOurs(config: FlaskConfig, keep = running): Promise<string> {
  const env = Object.fromEntries(Object.entries(config).map(([key, value]) => [key, String(value)]));
  const options = sessionOptionsFromEnv(env);

  @Module({ imports: [ServerSessionModule.forRoot(options)], controllers: [QuickstartController] })
  class QuickstartModule {}

  const app: INestApplication = await NestFactory.create(QuickstartModule, { logger: false, abortOnError: false });
  await app.listen(0, '127.0.0.1');
  keep.push({ stop: () => app.close() });
  return (await app.getUrl()).replace('[::1]', '127.0.0.1');
}

async function viewOf(url: string): Promise<View> {
  const browser = new Browser(url);
  const set = await browser.get('/set/');
  const [cookie] = set.cookies;
  const lifetime = cookie?.expires && (cookie.expires.getTime() - Date.now()) / 1000;
  return {
    set: [set.status, set.text],
    get: (await browser.get('/get/')).text,
    withoutCookie: (await new Browser(url).get('/get/')).text,
    cookie: {
      name: cookie?.name ?? '',
      path: cookie?.path,
      domain: cookie?.domain?.replace(/^\./, ''),
      httpOnly: cookie?.httpOnly === true,
      secure: cookie?.secure === true,
      // To the minute: the two are asked one after the other.
      lifetime: lifetime && Math.round(lifetime / 60) * 60,
      isSigned: /^[\w-]+\.[\w+/-]+$/.test(cookie?.value ?? ''),
    },
  };
}

async function folders(): Promise<[string, string]> {
  return Promise.all([mkdtemp(join(dir, 'theirs-')), mkdtemp(join(dir, 'ours-'))]);
}

/** The files of sessions: cachelib counts its own in one more, and ours keeps them in folders. */
async function sessionFilesIn(folder: string): Promise<string[]> {
  const COUNT = '2029240f6d1128be89ddc32729463129';
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile() && entry.name !== COUNT).map((entry) => join(entry.parentPath, entry.name));
}
