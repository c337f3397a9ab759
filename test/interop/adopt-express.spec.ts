import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { sign } from 'cookie-signature';
import { RedisStore } from 'connect-redis';
import { createHash, randomBytes } from 'node:crypto';
import { SessionOptionsError, type ServerSessionOptions, SessionRepository, SessionService } from 'nestjs-server-session';
import { expressSessions, type ExpressSessionsOptions } from 'nestjs-server-session/interop';
import { createClient } from 'redis';
import { RecordCodec } from '../../lib/storage/record.codec.js';
import { Browser } from '../e2e/browser.js';
import { startRedis, type TestServer } from '../servers/index.js';
import { eventually } from '../support/eventually.js';
import { type FormerExpress, startFormerExpress } from './support/former-express.js';
import { type Shop, startShop } from './support/shop.js';

const SECRET = 'the secret of the former application';
const HOUR = 3_600_000;

let redis: TestServer;
let client: ReturnType<typeof createClient>;
let former: FormerExpress;
let shops: Shop[] = [];
let prefix: string;

beforeAll(async () => {
  redis = await startRedis();
  client = createClient({ url: redis.url });
  client.on('error', () => undefined);
  await client.connect();
});

afterAll(async () => {
  client?.destroy();
  await redis?.stop();
});

beforeEach(async () => {
  prefix = `${randomBytes(4).toString('hex')}:`;
  former = await startFormerExpress({ secret: SECRET, store: formerStore(), cookie: { maxAge: HOUR } });
});

afterEach(async () => {
  await Promise.all(shops.map((shop) => shop.close()));
  shops = [];
  await former?.close();
});

for (const adapter of ['express', 'fastify'] as const)
  describe(`an application on express-session that is replaced by one of ours, on ${adapter}`, () => {
    it('keeps its users signed in, with their carts and unread messages', async () => {
      const browser = await customerOf('ann');
      const shop = await openShop({}, {}, adapter);
      const visitor = moveTo(shop, browser);
      expect((await visitor.get('/me')).json).toEqual({ user: 'ann', principal: 'ann', cart: ['tea'] });
      expect((await visitor.get('/flashes')).json).toEqual([{ kind: 'info', message: 'added tea' }]);
      expect((await visitor.post('/cart/milk')).json).toEqual(['tea', 'milk']);
      expect((await visitor.get('/me')).json).toEqual({ user: 'ann', principal: 'ann', cart: ['tea', 'milk'] });
    });

    it('ends the former record and cookie', async () => {
      const browser = await customerOf('ann');
      const former1 = browser.clone();
      const visitor = moveTo(await openShop({}, {}, adapter), browser);
      const { cookies, headers } = await visitor.get('/me');
      expect(cookies.map(({ name, maxAge, path }) => [name, maxAge === 0, path])).toEqual([
        ['session', false, '/'],
        ['connect.sid', true, '/'],
      ]);
      expect(headers.get('vary')).toContain('Cookie');
      expect([...visitor.jar.keys()]).toEqual(['session']);
      expect((await former1.get('/me')).json).toEqual({ user: null, cart: [] });
    });

    it('makes one session of fifty requests that come at the same time to two processes', async () => {
      const browser = await customerOf('ann');
      const two = [await openShop({}, {}, adapter), await openShop({}, {}, adapter)];
      const answers = await Promise.all(Array.from({ length: 50 }, (_unused, index) => moveTo(two[index % 2]!, browser).get('/me')));
      for (const { status, json } of answers) expect([status, json]).toEqual([200, { user: 'ann', principal: 'ann', cart: ['tea'] }]);
      const ids = answers.map(({ cookies }) => cookies.find(({ name }) => name === 'session')?.value);
      expect(new Set(ids).size).toBe(1);
      expect(ids[0]).toEqual(expect.any(String));
      expect(await sessionsOf('ann', two[0]!)).toHaveLength(1);
      const after = new Browser(two[1]!.url);
      after.jar.set('session', ids[0]!);
      expect((await after.get('/me')).json).toMatchObject({ user: 'ann' });
    });

    it('loses no change of requests that come at the same time', async () => {
      const browser = await customerOf('ann');
      const shop = await openShop({}, {}, adapter);
      const keys = Array.from({ length: 10 }, (_unused, index) => `key${index}`);
      const [first] = await Promise.all(keys.map((key) => moveTo(shop, browser).post(`/keys/${key}`)));
      const after = new Browser(shop.url);
      after.jar.set('session', first!.cookies[0]!.value!);
      expect(Object.keys((await after.get('/data')).json as object)).toEqual(expect.arrayContaining(['cart', 'passport', ...keys]));
    });
  });

describe('a cookie of the former application', () => {
  it('that is forged, unsigned, unknown or of another name adopts nothing', async () => {
    const shop = await openShop();
    const unknown = randomBytes(24).toString('base64url');
    const known = sidOf(await customerOf('ann'));
    const values = [
      known,
      `s:${known}`,
      `s:${known}.`,
      `s:${sign(known, 'another secret')}`,
      `s:${sign(known, SECRET)}x`,
      `j:${JSON.stringify(known)}`,
      sign(known, SECRET),
      `s:${sign('', SECRET)}`,
      `s:${sign(unknown, SECRET)}`,
      `s:${sign('../../etc/passwd', SECRET)}`,
      `s:${sign('x'.repeat(4000), SECRET)}`,
      '',
      '%',
    ];
    for (const value of values) {
      const response = await fetch(`${shop.url}/me`, { headers: { cookie: `connect.sid=${encodeURIComponent(value)}` } });
      expect([value, response.status, await response.json()]).toEqual([value, 200, { user: null, principal: null, cart: [] }]);
      expect(response.headers.getSetCookie()).toEqual([]);
    }
    const other = await fetch(`${shop.url}/me`, { headers: { cookie: `other.sid=${encodeURIComponent(`s:${sign(known, SECRET)}`)}` } });
    expect(await other.json()).toMatchObject({ user: null });
    expect(shop.log).toEqual([]);
    expect(await client.keys(`${prefix}ours:*`)).toEqual([]);
  });

  it('is found where several have the name', async () => {
    const browser = await customerOf('ann');
    const shop = await openShop();
    const cookie = `connect.sid=s%3Aplanted.x; connect.sid=${browser.jar.get('connect.sid')}; connect.sid=y`;
    const response = await fetch(`${shop.url}/me`, { headers: { cookie } });
    expect(await response.json()).toMatchObject({ user: 'ann' });
  });

  it('that was signed with a former secret adopts too', async () => {
    const browser = await customerOf('ann');
    const shop = await openShop({ secret: ['a newer secret', SECRET] });
    expect((await moveTo(shop, browser).get('/me')).json).toMatchObject({ user: 'ann' });
  });

  it('of a session that has expired adopts nothing', async () => {
    const browser = await customerOf('ann');
    await client.pExpire(`${prefix}sess:${sidOf(browser)}`, 1);
    await eventually(async () => expect(await client.exists(`${prefix}sess:${sidOf(browser)}`)).toBe(0));
    const visitor = moveTo(await openShop(), browser);
    const { json, cookies } = await visitor.get('/me');
    expect([json, cookies]).toEqual([{ user: null, principal: null, cart: [] }, []]);
  });

  it('costs nothing where the handler uses no session, or the request has one of ours', async () => {
    const browser = await customerOf('ann');
    const shop = await openShop();
    const visitor = moveTo(shop, browser);
    expect((await visitor.get('/nothing')).cookies).toEqual([]);
    expect(await client.exists(`${prefix}sess:${sidOf(browser)}`)).toBe(1);
    const own = new Browser(shop.url);
    await own.post('/cart/water');
    own.jar.set('connect.sid', browser.jar.get('connect.sid')!);
    expect((await own.get('/me')).json).toMatchObject({ user: null, cart: ['water'] });
    expect(await client.exists(`${prefix}sess:${sidOf(browser)}`)).toBe(1);
  });
});

describe('a former session', () => {
  it('is reached once more by a client that the first response did not reach', async () => {
    const browser = await customerOf('ann');
    const shop = await openShop();
    const first = await moveTo(shop, browser).get('/me');
    const again = await moveTo(shop, browser).get('/me');
    expect(again.json).toMatchObject({ user: 'ann' });
    expect(again.cookies[0]?.value).toBe(first.cookies[0]?.value);
  });

  it('is not adopted again after a log-out, whether its record is still there or not', async () => {
    for (const keep of [false, true]) {
      const browser = await customerOf('ann');
      const shop = await openShop({ keep });
      const visitor = moveTo(shop, browser);
      await visitor.get('/me');
      await visitor.post('/logout');
      expect((await visitor.get('/me')).json).toMatchObject({ user: null });
      expect((await moveTo(shop, browser).get('/me')).json).toMatchObject({ user: null });
      expect(await sessionsOf('ann', shop)).toEqual([]);
    }
  });

  it('ends with a log-out of a request that had a session of ours already', async () => {
    for (const keep of [false, true]) {
      const browser = await customerOf('ann');
      const shop = await openShop({ keep });
      const visitor = new Browser(shop.url);
      await visitor.post('/login', { username: 'bob' });
      visitor.jar.set('connect.sid', browser.jar.get('connect.sid')!);
      await visitor.post('/logout');
      expect((await moveTo(shop, browser).get('/me')).json).toMatchObject({ user: null });
    }
  });

  it('stays with keep: both applications run side by side, each with its own session', async () => {
    const browser = await customerOf('ann');
    const shop = await openShop({ keep: true });
    const visitor = moveTo(shop, browser);
    const { cookies } = await visitor.get('/me');
    expect(cookies.map(({ name }) => name)).toEqual(['session']);
    await visitor.post('/cart/milk');
    await browser.post('/cart/bread');
    expect((await browser.get('/me')).json).toEqual({ user: { name: 'ann' }, cart: ['tea', 'bread'] });
    expect((await visitor.get('/me')).json).toMatchObject({ cart: ['tea', 'milk'] });
  });

  it('ends where the store of our own holds no id that opens it', async () => {
    const browser = await customerOf('ann');
    const visitor = moveTo(await openShop({ keep: true }), browser);
    await visitor.get('/me');
    const values = await Promise.all((await client.keys(`${prefix}ours:*`)).map(async (key) => `${key} ${await client.dump(key)}`));
    expect(values.length).toBeGreaterThan(1);
    for (const secret of [visitor.jar.get('session')!, sidOf(browser)]) expect(values.join()).not.toContain(secret);
  });

  it('is adopted by the next request when a process has died before it made the session', async () => {
    const browser = await customerOf('ann');
    const shop = await openShop({}, { storeTimeout: '300ms' });
    await leaveClaimBehind(shop, browser, false);
    const { json, cookies } = await moveTo(shop, browser).get('/me');
    expect([json, cookies.map(({ name }) => name)]).toEqual([{ user: 'ann', principal: 'ann', cart: ['tea'] }, ['session', 'connect.sid']]);
    expect(await sessionsOf('ann', shop)).toHaveLength(1);
  });

  it('is adopted with what can be kept of it, and one line says what cannot', async () => {
    const browser = await customerOf('ann');
    await browser.post('/data', { handle: 'a name that is reserved', constructor: 'plain', deep: { a: [1] } });
    const shop = await openShop();
    const { json } = await moveTo(shop, browser).get('/data');
    expect(json).toMatchObject({ constructor: 'plain', deep: { a: [1] }, cart: ['tea'] });
    expect(json).not.toHaveProperty('handle');
    expect(shop.log.filter((line) => line.includes("'handle'"))).toHaveLength(1);
  });

  it('whose principal cannot be told is not adopted, with one line in the log', async () => {
    for (const principal of [
      () => {
        throw new Error('no such user');
      },
      () => 5 as unknown as string,
      () => '',
    ]) {
      const browser = await customerOf('ann');
      const shop = await openShop({ principal });
      for (let count = 0; count < 3; count++) expect((await moveTo(shop, browser).get('/me')).json).toMatchObject({ user: null });
      expect(shop.log).toHaveLength(1);
    }
  });

  for (const [title, value] of Object.entries({
    damaged: 'not JSON with a secret word in it',
    'of another program': '"text"',
    'without a cookie': '{"cart":["tea"]}',
    'a list': '[]',
    null: 'null',
    'larger than a session may be': JSON.stringify({ cookie: {}, cart: 'x'.repeat(100_000) }),
  }))
    it(`that is ${title} adopts nothing, and is no error`, async () => {
      const browser = await customerOf('ann');
      await client.set(`${prefix}sess:${sidOf(browser)}`, value);
      const shop = await openShop();
      const { status, json } = await moveTo(shop, browser).get('/me');
      expect([status, json]).toEqual([200, { user: null, principal: null, cart: [] }]);
      expect(shop.log.length).toBeLessThanOrEqual(1);
      expect(shop.log.join()).not.toMatch(/secret word|xxxx|tea/);
    });
});

describe('the former store', () => {
  it('that is down leaves requests without a session, with one line in the log', async () => {
    const browser = await customerOf('ann');
    const store = formerStore();
    const shop = await openShop({ store });
    const error = new Error('connect ECONNREFUSED 127.0.0.1:6379');
    store.get = (_sid: string, callback?: (error: unknown) => void) => Promise.resolve(callback?.(error));
    for (let count = 0; count < 3; count++) {
      const { status, json, cookies } = await moveTo(shop, browser).get('/me');
      expect([status, json, cookies]).toEqual([200, { user: null, principal: null, cart: [] }, []]);
    }
    expect(shop.log).toEqual([expect.stringContaining('connect ECONNREFUSED 127.0.0.1:6379')]);
    Reflect.deleteProperty(store, 'get');
    expect((await moveTo(shop, browser).get('/me')).json).toMatchObject({ user: 'ann' });
  });

  it('that never answers holds no request longer than storeTimeout', async () => {
    const browser = await customerOf('ann');
    const store = Object.assign(formerStore(), { get: () => new Promise(() => undefined) });
    const shop = await openShop({ store }, { storeTimeout: '200ms' });
    expect((await moveTo(shop, browser).get('/me')).json).toMatchObject({ user: null });
    expect(shop.log).toHaveLength(1);
  });

  it('that cannot delete its record does not let it be adopted twice', async () => {
    const browser = await customerOf('ann');
    const store = formerStore();
    const shop = await openShop({ store });
    store.destroy = (_sid: string, callback?: (error: unknown) => void) => Promise.resolve(callback?.(new Error('read-only')));
    const visitor = moveTo(shop, browser);
    expect((await visitor.get('/me')).json).toMatchObject({ user: 'ann' });
    await visitor.post('/logout');
    expect((await moveTo(shop, browser).get('/me')).json).toMatchObject({ user: null });
    expect(await client.exists(`${prefix}sess:${sidOf(browser)}`)).toBe(1);
    expect(shop.log).toEqual([expect.stringContaining('could not be removed: read-only')]);
  });
});

describe('the option adopt', () => {
  it('is checked at boot, with all faults at once and no secret among them', async () => {
    const wrong = expressSessions({ secret: '', store: {} as never, name: '', keep: 1 as never, principal: 'user' as never });
    const boot = openShop({}, { adopt: [wrong, {} as never], cookie: { sameSite: 'odd' as never } });
    const error = await boot.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(SessionOptionsError);
    const { message } = error as Error;
    for (const part of [
      "adopt[0]: 'secret'",
      "adopt[0]: 'store'",
      "adopt[0]: 'name'",
      "adopt[0]: 'keep'",
      "adopt[0]: 'principal'",
      'adopt[1]',
      'sameSite',
    ])
      expect(message).toContain(part);
  });

  it('refuses keep for a cookie of the same name as ours', async () => {
    await expect(openShop({ name: 'session', keep: true })).rejects.toThrow(/adopt\[0\].*'keep'.*another name/);
  });
});

function formerStore(): RedisStore {
  return new RedisStore({ client, prefix: `${prefix}sess:` });
}

async function openShop(
  options: Partial<ExpressSessionsOptions<{ passport?: { user?: string } }>> = {},
  more: ServerSessionOptions = {},
  adapter: 'express' | 'fastify' = 'express',
): Promise<Shop> {
  const adopt = [expressSessions({ secret: SECRET, store: formerStore(), principal: (data) => data.passport?.user, ...options })];
  const shop = await startShop({ type: 'redis', redis: { url: redis.url }, keyPrefix: `${prefix}ours:`, adopt, ...more }, adapter);
  shops.push(shop);
  return shop;
}

/** Somebody who has signed in at the former application, with tea in the cart. */
async function customerOf(name: string): Promise<Browser> {
  const browser = new Browser(former.url);
  await browser.post('/login', { username: name, password: 'x' });
  await browser.post('/cart/tea');
  return browser;
}

/** The same browser, after the application behind the address was replaced. */
function moveTo(shop: Shop, browser: Browser): Browser {
  const moved = new Browser(shop.url);
  for (const [name, value] of browser.jar) moved.jar.set(name, value);
  return moved;
}

function sidOf(browser: Browser): string {
  const value = decodeURIComponent(browser.jar.get('connect.sid') ?? '');
  return value.slice(2, value.lastIndexOf('.'));
}

async function sessionsOf(principal: string, shop: Shop): Promise<unknown[]> {
  const { sessions } = await shop.app.get(SessionService).list({ principal });
  return sessions.filter((one) => (one as { principal?: string }).principal === principal);
}

/** What a process leaves that dies between the claim and the session (or that has made it: `isDone`). */
async function leaveClaimBehind(shop: Shop, browser: Browser, isDone: boolean): Promise<void> {
  const handle = `adoption__${createHash('sha512')
    .update(`connect.sid\0${sidOf(browser)}`)
    .digest('base64url')}`;
  const claim = { nonce: randomBytes(32).toString('base64url'), at: Date.now(), isDone };
  const payload = new RecordCodec().encode(handle, { kind: 'retired', until: Date.now() + HOUR, claim });
  await shop.app.get(SessionRepository).create(handle, { payload }, HOUR);
}
