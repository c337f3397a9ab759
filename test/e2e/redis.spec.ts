import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller, Get, Post } from '@nestjs/common';
import { Redis } from 'ioredis';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ServerSession, Session } from 'nestjs-server-session';
import { startRedis, type TestServer } from '../servers/index.js';
import { itUnless } from '../servers/it-unless.js';
import { eventually } from '../support/eventually.js';
import { ADAPTERS, type RunningApplication, startApplication } from './application.js';
import { Browser } from './browser.js';

@Controller()
class CountController {
  @Get('unused') unused(): string {
    return 'ok';
  }
  @Get('read') read(@Session() session: ServerSession): unknown {
    return { n: session.get('n', null) };
  }
  @Post('count-slowly') async countSlowly(@Session() session: ServerSession): Promise<string> {
    session.set('n', 100);
    await sleep(100);
    return 'counted';
  }
  @Post('end-slowly') async endSlowly(@Session() session: ServerSession): Promise<string> {
    await sleep(100);
    await session.destroy();
    return 'ended';
  }
  @Post('count') count(@Session() session: ServerSession): number {
    session.set('n', session.get('n', 0) + 1);
    return session.get('n', 0);
  }
}

/** Commands that clients sent since the last call, from the server's own counters; those that scripts call inside are left out. */
async function sentCommands(redis: Redis): Promise<Record<string, number>> {
  const info = await redis.info('commandstats');
  const calls: Record<string, number> = Object.fromEntries(
    Array.from(info.matchAll(/cmdstat_(\w+):calls=(\d+)/g), ([, name, count]) => [name, Number(count)]),
  );
  await redis.config('RESETSTAT');
  const scripts = (calls['evalsha'] ?? 0) + (calls['eval'] ?? 0);
  // Each run of the update script calls GETRANGE once and, when it writes, SET once.
  const inside = Math.min(scripts, calls['getrange'] ?? 0);
  for (const name of ['info', 'config|resetstat', 'config', 'getrange']) delete calls[name];
  if (calls['set'] !== undefined) calls['set'] -= inside;
  return Object.fromEntries(Object.entries(calls).filter(([, count]) => count > 0));
}

describe.each(ADAPTERS)('On %s with Redis,', (adapter) => {
  let server: TestServer;
  let redis: Redis;
  let running: RunningApplication;
  const start = async (): Promise<void> => {
    running = await startApplication({
      adapter,
      session: { type: 'redis', redis: { url: server.url }, keyPrefix: `${adapter}:`, storeTimeout: '500ms' },
      controllers: [CountController],
    });
  };

  beforeAll(async () => {
    server = await startRedis();
    redis = new Redis(server.url, { disconnectTimeout: 100 });
    redis.on('error', () => undefined);
    await start();
  });
  afterAll(async () => {
    await running.close();
    redis.disconnect();
    await server.stop();
  });

  it('counts the commands of a request: none unused or absent, one for a read, two for a change', async () => {
    const browser = new Browser(running.url);
    await new Browser(running.url).get('read');
    await browser.get('unused');
    await sentCommands(redis);

    await browser.get('unused');
    await browser.get('read');
    expect(await sentCommands(redis)).toEqual({});

    await browser.post('count');
    expect(await sentCommands(redis)).toEqual({ set: 1 });

    await browser.get('unused');
    expect(await sentCommands(redis)).toEqual({});

    await browser.get('read');
    expect(await sentCommands(redis)).toEqual({ get: 1 });

    await browser.post('count');
    const { get, evalsha, eval: first, ...others } = await sentCommands(redis);
    // The first script on a fresh server is sent twice: by its hash, then in full.
    expect([get, (evalsha ?? 0) - (first ?? 0), others]).toEqual([1, first === undefined ? 1 : 0, {}]);

    await browser.post('count');
    expect(await sentCommands(redis)).toEqual({ get: 1, evalsha: 1 });
  });

  it('stores no id that could be used as a cookie', async () => {
    const browser = new Browser(running.url);
    await browser.post('count');
    const id = browser.jar.get('session')!;
    for (const key of await redis.keys('*')) {
      expect(key).not.toContain(id);
      expect(await redis.get(key)).not.toContain(id);
    }
  });

  describe('what is under the key of a session', () => {
    const spoil = async (how: (key: string) => Promise<unknown>): Promise<Browser> => {
      await redis.flushall();
      const browser = new Browser(running.url);
      await browser.post('count');
      const [key] = await redis.keys(`${adapter}:*`);
      await how(key!);
      return browser;
    };

    it.each<[string, (key: string) => Promise<unknown>]>([
      ['another type', async (key) => [await redis.del(key), await redis.lpush(key, 'x')]],
      ['a value of another program', (key) => redis.set(key, 'O:8:"stdClass":0:{}')],
      ['an empty value', (key) => redis.set(key, '')],
      ['JSON of another shape', (key) => redis.set(key, '{"cookie":{"maxAge":1},"__proto__":{"admin":true}}')],
      ['a version and nothing else', (key) => redis.set(key, '1:')],
      ['a cut record', async (key) => redis.set(key, (await redis.getBuffer(key))!.subarray(0, -3))],
      ['binary noise', (key) => redis.set(key, Buffer.from(Array.from({ length: 256 }, (_, index) => index)))],
    ])('may be %s: a new session, never a 500', async (_what, how) => {
      const browser = await spoil(how);
      const answer = await browser.get('read');
      expect([answer.status, answer.json]).toEqual([200, { n: null }]);
      expect((await browser.post('count')).text).toBe('1');
      expect((await browser.get('read')).json).toEqual({ n: 1 });
    });
  });

  it.each(['count-slowly', 'end-slowly'])(
    "a record that is spoilt while '%s' is under way is no session any more, and no 500",
    async (path) => {
      const browser = new Browser(running.url);
      await redis.flushall();
      await browser.post('count');
      const [key] = await redis.keys(`${adapter}:*`);
      const answer = browser.post(path);
      await sleep(50);
      await redis.set(key!, '7:spoilt');
      expect((await answer).status).toBe(201);
      expect((await browser.get('read')).json).toEqual({ n: null });
    },
  );

  describe('without its server', () => {
    afterEach(async () => {
      await server.restart();
    });

    itUnless('REDIS_URL')('answers 503 within storeTimeout, and works again by itself', async () => {
      const browser = new Browser(running.url);
      await browser.post('count');
      await server.kill();
      expect((await browser.get('read')).status).toBe(503);
      expect((await browser.get('unused')).status).toBe(200);
      await server.restart();
      await eventually(async () => expect((await new Browser(running.url).post('count')).status).toBe(201));
    });

    itUnless('REDIS_URL')('starts all the same, and finds it later', async () => {
      await running.close();
      await server.kill();
      await start();
      expect((await new Browser(running.url).post('count')).status).toBe(503);
      await server.restart();
      await eventually(async () => expect((await new Browser(running.url).post('count')).status).toBe(201));
    });

    itUnless('REDIS_URL')('does not hang on one that does not answer', async () => {
      const browser = new Browser(running.url);
      await browser.post('count');
      await server.pause();
      const answers = await Promise.all(Array.from({ length: 10 }, () => browser.clone().get('read')));
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([503]));
      await server.resume();
      await eventually(async () => expect((await browser.get('read')).json).toEqual({ n: 1 }));
    });
  });
});
