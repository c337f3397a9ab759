import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SessionOptionsError, type ServerSessionOptions, SessionService } from 'nestjs-server-session';
import { flaskSessions, type FlaskSessionsOptions } from 'nestjs-server-session/interop';
import { Browser } from '../e2e/browser.js';
import { startMemcached, startRedis, type TestServer } from '../servers/index.js';
import { type FlaskConfig, FlaskServer } from './support/flask-server.js';
import { runPython } from './support/python.js';
import { type Shop, startShop } from './support/shop.js';

const SECRET = 'the secret of the Flask application';

let redis: TestServer;
let memcached: TestServer;
let client: Redis;
let dir: string;
let prefix: string;
let shops: Shop[] = [];
/** One for each configuration: they take a while to start. */
const flasks = new Map<string, Promise<FlaskServer>>();
const keyPrefix = `${randomBytes(4).toString('hex')}:flask:`;

beforeAll(async () => {
  [redis, memcached] = await Promise.all([startRedis(), startMemcached()]);
  client = new Redis(redis.url);
  dir = await mkdtemp(join(tmpdir(), 'adopt-flask-'));
});

afterAll(async () => {
  client?.disconnect();
  for (const flask of flasks.values()) await (await flask).stop();
  await Promise.all([redis?.stop(), memcached?.stop(), rm(dir, { recursive: true, force: true })]);
});

beforeEach(() => {
  prefix = `${randomBytes(4).toString('hex')}:`;
});

afterEach(async () => {
  await Promise.all(shops.map((shop) => shop.close()));
  shops = [];
});

const STORES: Record<string, () => { config: FlaskConfig; options: FlaskSessionsOptions }> = {
  redis: () => ({ config: { SESSION_TYPE: 'redis', SESSION_REDIS: redis.url }, options: { redis: { url: redis.url } } }),
  filesystem: () => ({ config: { SESSION_TYPE: 'filesystem', SESSION_FILE_DIR: dir }, options: { filesystem: { dir } } }),
  memcached: () => ({
    config: { SESSION_TYPE: 'memcached', SESSION_MEMCACHED: `${memcached.host}:${memcached.port}` },
    options: { memcached: { servers: `${memcached.host}:${memcached.port}` } },
  }),
};

/** What the route /rich of the Flask application puts into the session, as the new application shows it. */
const rich = {
  when: 'Date 2026-01-02T03:04:05.678Z',
  naive: 'Date 2026-01-02T03:04:05.000Z',
  tags: 'Set a,b',
  bytes: 'Uint8Array 0,255',
  cart: [{ item: 'tea', count: 2 }, ['a', 'tuple']],
  user_id: 'user 7',
};

for (const [name, store] of Object.entries(STORES))
  describe(`a Flask application on Flask-Session and ${name} that is replaced by one of ours`, () => {
    it('keeps its sessions, with dates, sets and bytes', async () => {
      const { flask, shop } = await replace(store());
      const visitor = moveTo(shop, await visit(flask, '/rich'));
      expect((await visitor.get('/data')).json).toEqual(rich);
      expect((await visitor.get('/data')).json).toEqual(rich);
      expect((await visitor.get('/me')).json).toMatchObject({ principal: 'user 7' });
    });

    it('puts its own cookie in the place of the former one, and ends the former record', async () => {
      const { flask, shop } = await replace(store());
      const browser = await visit(flask, '/set/');
      const { cookies } = await moveTo(shop, browser).get('/data');
      expect(cookies.map(({ name: cookie, maxAge = 0 }) => [cookie, maxAge > 0])).toEqual([['session', true]]);
      expect(cookies[0]?.value).not.toBe(browser.jar.get('session'));
      expect((await browser.get('/get/')).text).toBe('not set');
    });

    it('makes one session of fifty requests that come at the same time', async () => {
      const { flask, shop } = await replace(store());
      const browser = await visit(flask, '/rich');
      const answers = await Promise.all(Array.from({ length: 50 }, () => moveTo(shop, browser).get('/data')));
      expect(new Set(answers.map(({ cookies }) => cookies[0]?.value)).size).toBe(1);
      for (const { json } of answers) expect(json).toEqual(rich);
      expect((await shop.app.get(SessionService).list({ principal: 'user 7' })).sessions).toHaveLength(1);
    });
  });

describe('with signed cookies', () => {
  it('adopts a session by its signature, and nothing without it', async () => {
    const signed = { config: { SESSION_USE_SIGNER: true, SECRET_KEY: SECRET }, options: { useSigner: true, secret: SECRET } };
    const { flask, shop } = await replace(STORES['redis']!(), signed);
    const browser = await visit(flask, '/set/');
    const value = browser.jar.get('session')!;
    const [sid, signature] = value.split('.');
    for (const forged of [sid!, `${sid}.${'A'.repeat(27)}`, `${randomBytes(16).toString('hex')}.${signature}`]) {
      const response = await fetch(`${shop.url}/data`, { headers: { cookie: `session=${forged}` } });
      expect([response.headers.getSetCookie(), await response.json()]).toEqual([[], {}]);
    }
    expect((await moveTo(shop, browser).get('/data')).json).toEqual({ key: 'value' });
  });
});

describe('a session of Flask', () => {
  it('is permanent or not here as it was there', async () => {
    for (const [path, isPermanent] of [
      ['/permanent/1', true],
      ['/permanent/0', false],
    ] as const) {
      const { flask, shop } = await replace(STORES['redis']!());
      const { cookies } = await moveTo(shop, await visit(flask, path)).get('/data');
      expect([path, cookies[0]?.expires !== undefined]).toEqual([path, isPermanent]);
    }
  });

  it('that holds an object of a class adopts nothing, and is no error', async () => {
    const { flask, shop } = await replace(STORES['redis']!());
    const browser = await visit(flask, '/object');
    for (let count = 0; count < 3; count++) {
      const { status, json, cookies } = await moveTo(shop, browser).get('/data');
      expect([status, json, cookies]).toEqual([200, {}, []]);
    }
    expect(shop.log).toEqual([expect.stringMatching(/refers to the class or callable __main__.Problem; it is not adopted/)]);
  });

  it('brings its unread messages', async () => {
    const { shop } = await replace(STORES['redis']!());
    const visitor = await visitorWith(shop, {
      _flashes: [
        ['info', 'Saved.'],
        ['error', 'Oh.'],
      ],
      name: 'ann',
    });
    expect((await visitor.get('/flashes')).json).toEqual([
      { kind: 'info', message: 'Saved.' },
      { kind: 'error', message: 'Oh.' },
    ]);
    expect((await visitor.get('/data')).json).toEqual({ name: 'ann' });
  });

  it('is adopted from MessagePack and JSON, as version 0.7 and later write them', async () => {
    const { shop } = await replace(STORES['redis']!());
    const [msgpack] = await runPython<string[]>(
      `import base64, datetime, json, msgpack
when = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
print(json.dumps([base64.b64encode(msgpack.packb({'_permanent': True, 'when': when, 'bytes': b'\\x00'}, datetime=True)).decode()]))`,
      ['msgpack'],
    );
    const packed = await visitorWith(shop, Buffer.from(msgpack!, 'base64'));
    expect((await packed.get('/data')).json).toEqual({ when: 'Date 2026-01-02T03:04:05.000Z', bytes: 'Uint8Array 0' });
    const plain = await visitorWith(shop, { _permanent: true, name: 'ann' });
    expect((await plain.get('/data')).json).toEqual({ name: 'ann' });
  });

  for (const [title, value] of Object.entries<string | Buffer>({
    damaged: Buffer.from('80049501', 'hex'),
    'of another program': 'OK',
    'a pickle that would run a command': "cos\nsystem\n(S'true'\ntR.",
    'larger than a session may be': JSON.stringify({ cart: 'x'.repeat(100_000) }),
    'larger than any session is': Buffer.alloc(2 * 1024 * 1024, '{'),
    empty: '',
  }))
    it(`that is ${title} adopts nothing, and is no error`, async () => {
      const { shop } = await replace(STORES['redis']!());
      const { status, json, cookies } = await (await visitorWith(shop, value)).get('/data');
      expect([status, json, cookies]).toEqual([200, {}, []]);
      expect(shop.log).toHaveLength(1);
      expect(shop.log.join()).not.toMatch(/xxxx|\{\{\{/);
    });

  it('that a client has made up is none, and leaves nothing behind', async () => {
    const { shop } = await replace(STORES['redis']!());
    for (const value of [randomBytes(16).toString('hex'), '../../etc/passwd', 'a b', 'x'.repeat(4000), '*', '']) {
      const response = await fetch(`${shop.url}/data`, { headers: { cookie: `session=${encodeURIComponent(value)}` } });
      expect([response.status, response.headers.getSetCookie(), await response.json()]).toEqual([200, [], {}]);
    }
    expect(await client.keys(`${prefix}ours:*`)).toEqual([]);
    expect(shop.log).toEqual([]);
  });
});

describe('the Redis of the Flask application', () => {
  it('that is down leaves requests without a session, with one line for the outage', async () => {
    const gone = await startRedis({ args: ['--maxclients', '100'] });
    const former = { config: {}, options: { redis: { url: gone.url } } };
    const { shop } = await replace(former, { more: { storeTimeout: '300ms' } }, false);
    try {
      await gone.kill();
      for (let count = 0; count < 3; count++) {
        const response = await fetch(`${shop.url}/data`, { headers: { cookie: `session=${randomBytes(16).toString('hex')}` } });
        expect([response.status, await response.json()]).toEqual([200, {}]);
      }
      const lines = shop.log.filter((line) => line.includes('former sessions'));
      expect(lines).toHaveLength(1);
    } finally {
      await gone.stop();
    }
  });
});

describe('the options of flaskSessions', () => {
  it('are checked at boot, all at once, and no secret is told', async () => {
    const wrong = [
      flaskSessions({}),
      flaskSessions({ redis: { url: 'http://user:hidden@host' }, filesystem: { dir: '' }, useSigner: true }),
      flaskSessions({ memcached: { servers: 'a b' }, secret: 'hidden', keep: true, keyprefix: 'x' } as never),
    ];
    const error = await startShop({ type: 'memory', adopt: wrong }).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(SessionOptionsError);
    const { message } = error as Error;
    for (const part of [
      "adopt[0]: 'redis' is undefined; allowed: exactly one of",
      "adopt[1]: 'filesystem' is an object; allowed: exactly one of",
      "adopt[1]: 'redis.url'",
      "adopt[1]: 'filesystem.dir'",
      "adopt[1]: 'secret' is undefined",
      "adopt[2]: 'memcached.servers'",
      "adopt[2]: 'keyprefix' is not an option",
      "adopt[2]: 'keep' is true",
    ])
      expect(message).toContain(part);
    expect(message).not.toContain('hidden');
  });
});

interface More {
  readonly config?: FlaskConfig;
  readonly options?: FlaskSessionsOptions;
  readonly more?: ServerSessionOptions;
}

/** The Flask application, and ours in its place. */
async function replace(
  { config, options }: { config: FlaskConfig; options: FlaskSessionsOptions },
  { config: moreConfig = {}, options: moreOptions = {}, more = {} }: More = {},
  withFlask = true,
): Promise<{ flask: FlaskServer; shop: Shop }> {
  const principal = ({ user_id: user }: { user_id?: string }): string | undefined => user;
  const adopt = [flaskSessions<{ user_id?: string }>({ ...(options as object), ...moreOptions, keyPrefix, principal })];
  const [flask, shop] = await Promise.all([
    withFlask ? flaskFor({ ...config, ...moreConfig, SESSION_KEY_PREFIX: keyPrefix }) : undefined,
    startShop({ type: 'redis', redis: { url: redis.url }, keyPrefix: `${prefix}ours:`, adopt, ...more }),
  ]);
  shops.push(shop);
  return { flask: flask!, shop };
}

function flaskFor(config: FlaskConfig): Promise<FlaskServer> {
  const key = JSON.stringify(config);
  const flask = flasks.get(key) ?? FlaskServer.start(config);
  flasks.set(key, flask);
  return flask;
}

async function visit(flask: FlaskServer, path: string): Promise<Browser> {
  const browser = new Browser(flask.url);
  expect((await browser.get(path)).status).toBe(200);
  return browser;
}

/** A browser whose Flask session is this: JSON, or bytes as they stand in Redis. */
async function visitorWith(shop: Shop, record: object | string): Promise<Browser> {
  const sid = randomBytes(24).toString('base64url');
  const isRaw = typeof record === 'string' || Buffer.isBuffer(record);
  await client.set(`${keyPrefix}${sid}`, isRaw ? record : JSON.stringify(record));
  const browser = new Browser(shop.url);
  browser.jar.set('session', sid);
  return browser;
}

/** The same browser, after the application behind the address was replaced. */
function moveTo(shop: Shop, browser: Browser): Browser {
  const moved = new Browser(shop.url);
  for (const [name, value] of browser.jar) moved.jar.set(name, value);
  return moved;
}
