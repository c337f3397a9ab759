import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { setTimeout as pause } from 'node:timers/promises';
import { InvalidSessionCursorError } from '../../lib/errors.js';
import { resolveOptions } from '../../lib/options/resolve-options.js';
import { RedisSessionRepository } from '../../lib/repositories/redis/redis-session.repository.js';
import { type RedisTestCluster, type RedisTestServer, startRedis, startRedisCluster } from '../servers/index.js';
import { type AdminApplication, startAdmin } from './support/application.js';
import { CommandCounter } from './support/command-counter.js';

const LONG = 600_000;
const payload = Buffer.from('text');
const record = (principal?: string): { payload: Buffer; principal: string | undefined } => ({ payload, principal });

function open(url: string, keyPrefix: string, options: object = {}): Promise<RedisSessionRepository> {
  return RedisSessionRepository.create(resolveOptions({ type: 'redis', redis: { url, ...options }, keyPrefix, storeTimeout: '10s' }));
}

describe('The index of principals on Redis', () => {
  let server: RedisTestServer;
  let redis: Redis;
  let commands: CommandCounter;
  const repositories: RedisSessionRepository[] = [];
  /** With a prefix of its own, and no memory of what another process wrote. */
  const opened = async (prefix: string, options?: object): Promise<RedisSessionRepository> => {
    const repository = await open(server.url, prefix, options);
    repositories.push(repository);
    await repository.read('connects');
    return repository;
  };
  const indexKeys = (prefix: string): Promise<string[]> => redis.keys(`${prefix}principal:*`);

  beforeAll(async () => {
    server = await startRedis();
    redis = new Redis(server.url);
    commands = new CommandCounter(redis);
  }, 60_000);
  afterAll(async () => {
    for (const repository of repositories) await repository.onApplicationShutdown();
    await redis?.quit();
    await server?.stop();
  });

  it('costs a session of nobody nothing', async () => {
    const repository = await opened('free:');
    await repository.create('warm', record(), LONG);
    await repository.update('warm', record(), '1', LONG);
    expect(await commands.of(() => repository.create('a', record(), LONG))).toEqual({ set: 1 });
    expect(await commands.of(() => repository.read('a'))).toEqual({ get: 1 });
    expect(await commands.of(() => repository.read('a', LONG))).toEqual({ getex: 1 });
    expect(await commands.of(() => repository.update('a', record(), '1', LONG))).toMatchObject({ evalsha: 1 });
    expect(await indexKeys('free:')).toEqual([]);
  });

  it('costs a session of somebody one command when it begins, and none for a while after', async () => {
    const repository = await opened('one:');
    await repository.create('warm', record('warm'), LONG);
    await repository.update('warm', record('warm'), '1', LONG);
    expect(await commands.of(() => repository.create('a', record('ann'), LONG))).toMatchObject({ set: 1, evalsha: 1 });
    expect(await commands.of(() => repository.update('a', record('ann'), '1', LONG))).toMatchObject({ evalsha: 1 });
    expect(await commands.of(() => repository.read('a', LONG))).toEqual({ getex: 1 });
  });

  it('outlives sessions that are only touched, in any process', async () => {
    const [one, two] = [await opened('touch:'), await opened('touch:')];
    await one.create('a', record('ann'), 1000);
    const [key] = await indexKeys('touch:');
    await two.read('a', 10 * LONG);
    expect(await redis.pttl(key!)).toBeGreaterThan(10 * LONG);
    expect(Number(await redis.zscore(key!, 'a'))).toBeGreaterThan(Date.now() + 9 * LONG);
    await one.read('a', 20 * LONG);
    expect(await redis.pttl(key!)).toBeGreaterThan(20 * LONG);
  });

  it('expires by itself, and forgets sessions that ended long ago', async () => {
    const repository = await opened('expiry:');
    await repository.create('a', record('ann'), LONG);
    const [key] = await indexKeys('expiry:');
    expect(await redis.pttl(key!)).toBeGreaterThan(LONG);
    await redis.zadd(key!, Date.now() - 24 * 3_600_000, 'long-gone');
    await repository.create('b', record('ann'), LONG);
    expect(await redis.zrange(key!, 0, -1)).toEqual(['a', 'b']);
  });

  it('heals as it is read: of what is gone, and of what belongs to somebody else', async () => {
    const repository = await opened('heal:');
    for (const handle of ['stays', 'deleted', 'expired', 'given'])
      await repository.create(handle, record('ann'), handle === 'expired' ? 20 : LONG);
    const [key] = await indexKeys('heal:');
    await redis.del('heal:deleted');
    // As another process would write it that stopped before it came to the index.
    await redis.set('heal:given', (await redis.get('heal:given'))!.replace(/@.{22}:/, ':'));
    await pause(40);
    expect(await redis.zcard(key!)).toBe(4);
    expect(await repository.count({ principal: 'ann' })).toBe(1);
    expect(await redis.zrange(key!, 0, -1)).toEqual(['stays']);
    expect((await repository.list({ principal: 'ann', limit: 10 })).records.map(({ handle }) => handle)).toEqual(['stays']);
  });

  it('loses the entry of a session that is deleted', async () => {
    const [one, two] = [await opened('end:'), await opened('end:')];
    for (const handle of ['stays', 'ends', 'ends-elsewhere']) await one.create(handle, record('ann'), LONG);
    const [key] = await indexKeys('end:');
    expect(await one.delete('ends', '1')).toBe(true);
    expect(await two.delete('ends-elsewhere')).toBe(true);
    expect(await one.delete('stays', '2')).toBe(false);
    expect(await redis.zrange(key!, 0, -1)).toEqual(['stays']);
  });

  it('loses the entry of a session that is given to another user, or to none', async () => {
    const repository = await opened('given:');
    for (const handle of ['to-bob', 'to-nobody', 'stays']) await repository.create(handle, record('ann'), LONG);
    const [key] = await indexKeys('given:');
    await repository.update('to-bob', record('bob'), '1', LONG);
    await repository.update('to-nobody', record(), '1', LONG);
    await repository.update('stays', record('ann'), '1', LONG);
    expect(await redis.zrange(key!, 0, -1)).toEqual(['stays']);
    expect(await repository.count({ principal: 'bob' })).toBe(1);
  });

  it('is written again when another process has changed the user in between', async () => {
    const [one, two] = [await opened('between:'), await opened('between:')];
    await one.create('a', record('ann'), LONG);
    await two.update('a', record('bob'), '1', LONG);
    expect(await two.count({ principal: 'ann' })).toBe(0);
    await one.update('a', record('ann'), '2', LONG);
    expect(await two.count({ principal: 'ann' })).toBe(1);
  });

  it('does not hold the name of a user', async () => {
    const repository = await opened('names:');
    await repository.create('a', record('ann@example.org'), LONG);
    const dump = [await indexKeys('names:'), await redis.get('names:a')].join(' ');
    expect(dump).not.toContain('ann@');
  });

  it('takes a prefix literally, special characters and that of the client included', async () => {
    const odd = await opened('a*[b]?\\-^:', { keyPrefix: 'client:' });
    const other = await opened('axb:', { keyPrefix: 'client:' });
    await odd.create('mine', record('ann'), LONG);
    await other.create('theirs', record('ann'), LONG);
    expect((await odd.list({ limit: 10 })).records.map(({ handle }) => handle)).toEqual(['mine']);
    expect([await odd.count({}), await odd.count({ principal: 'ann' })]).toEqual([1, 1]);
  });

  it('lists all, page by page, past the keys of others', async () => {
    const repository = await opened('scan:');
    const handles = Array.from({ length: 120 }, (_unused, n) => `scan${n}`);
    for (const handle of handles) await repository.create(handle, record(handle), LONG);
    const found = new Set<string>();
    let [cursor, pages]: [string | undefined, number] = [undefined, 0];
    do {
      const page: Awaited<ReturnType<typeof repository.list>> = await repository.list({ cursor, limit: 25 });
      for (const { handle } of page.records) found.add(handle);
      cursor = page.cursor;
      pages++;
    } while (cursor !== undefined);
    expect([...found].sort()).toEqual(handles.sort());
    expect(pages).toBeGreaterThan(2);
    expect(await repository.count({})).toBe(120);
  });

  it('pages hold no more than their limit, with each session once, also where many have the same expiry', async () => {
    const repository = await opened('pages:');
    const handles = Array.from({ length: 120 }, (_unused, n) => `page${n}`);
    for (const handle of handles) await repository.create(handle, record('ann'), LONG);
    const [key] = await indexKeys('pages:');
    for (const [at, handle] of handles.entries()) await redis.zadd(key!, 4e12 + Math.floor(at / 60), handle);
    for (const query of [{ principal: 'ann' }, {}]) {
      const found: string[] = [];
      let cursor: string | undefined;
      do {
        const page: Awaited<ReturnType<typeof repository.list>> = await repository.list({ ...query, cursor, limit: 7 });
        expect(page.records.length).toBeLessThanOrEqual(7);
        found.push(...page.records.map(({ handle }) => handle));
        cursor = page.cursor;
      } while (cursor !== undefined);
      expect([...new Set(found)].sort()).toEqual(handles.sort());
      if ('principal' in query) expect(found).toHaveLength(handles.length);
    }
  });

  it('goes on after a session that has ended meanwhile', async () => {
    const repository = await opened('gone:');
    for (const handle of ['a', 'b', 'c', 'd']) await repository.create(handle, record('ann'), LONG);
    const first = await repository.list({ principal: 'ann', limit: 2 });
    for (const { handle } of first.records) await repository.delete(handle);
    const second = await repository.list({ principal: 'ann', limit: 2, cursor: first.cursor });
    expect([...first.records, ...second.records].map(({ handle }) => handle)).toEqual(['a', 'b', 'c', 'd']);
    expect(second.cursor).toBeUndefined();
  });

  it('takes no cursor that it has not made', async () => {
    const repository = await opened('cursor:');
    for (const cursor of ['a', '1@', '@a', '-inf@a', '1@a b', '1@a~b'])
      await expect(repository.list({ principal: 'ann', limit: 2, cursor })).rejects.toThrow(InvalidSessionCursorError);
    for (const cursor of ['a', '@a', '-1@a', '0@127.0.0.1:1~a b'])
      await expect(repository.list({ limit: 2, cursor })).rejects.toThrow(InvalidSessionCursorError);
  });

  it('past many dead entries, a page comes within the time of an operation and removes what it has met', async () => {
    const repository = await opened('dead:');
    await repository.create('alive', record('ann'), LONG);
    const [key] = await indexKeys('dead:');
    const entries = Array.from({ length: 20_000 }, (_unused, n) => [Date.now() + Math.floor(n / 100), `dead${n}`] as const);
    for (let at = 0; at < entries.length; at += 1000) await redis.zadd(key!, ...entries.slice(at, at + 1000).flat());
    const found: string[] = [];
    let cursor: string | undefined;
    do {
      const before = await redis.zcard(key!);
      const page: Awaited<ReturnType<typeof repository.list>> = await repository.list({ principal: 'ann', cursor, limit: 50 });
      expect(await redis.zcard(key!)).toBeLessThan(before);
      found.push(...page.records.map(({ handle }) => handle));
      cursor = page.cursor;
    } while (cursor !== undefined);
    expect(found).toEqual(['alive']);
    expect(await redis.zcard(key!)).toBe(1);
  });

  describe('at any size of the store', () => {
    let app: AdminApplication;
    const spent: Record<string, Record<string, number>>[] = [];

    beforeAll(async () => {
      app = await startAdmin({ type: 'redis', redis: { url: server.url }, keyPrefix: 'size:', storeTimeout: '10s' });
      const repository = await opened('size:');
      let others = 0;
      for (const size of [200, 2000]) {
        for (; others < size; others++) await repository.create(`other${others}`, record(`user${others % 50}`), LONG);
        const handles: string[] = [];
        for (let n = 0; n < 5; n++) handles.push((await app.loggedIn('ann')).handle);
        const principal = 'ann';
        await app.sessions.count({ principal });
        spent.push({
          list: await commands.of(() => app.sessions.list({ principal })),
          count: await commands.of(() => app.sessions.count({ principal })),
          revokeAll: await commands.of(() => app.sessions.revokeAll({ principal, except: handles[0] })),
          revoke: await commands.of(() => app.sessions.revoke(handles[0]!)),
        });
      }
    }, 60_000);
    afterAll(() => app?.close());

    it('a user’s sessions cost the same commands', () => {
      expect(spent[1]).toEqual(spent[0]);
      expect(spent[0]).toMatchObject({
        list: { zrangebyscore: 1, get: 5, pttl: 5 },
        count: { zrangebyscore: 1, getrange: 5 },
        revokeAll: { zrangebyscore: 1, get: 5, pttl: 5, zrem: 4 },
      });
      for (const operation of Object.values(spent[1]!)) expect(operation['scan'] ?? operation['keys']).toBeUndefined();
    });
  });
});

describe('The index of principals on a Redis Cluster', () => {
  let cluster: RedisTestCluster;
  let repository: RedisSessionRepository;
  beforeAll(async () => {
    cluster = await startRedisCluster();
    const nodes = cluster.masters.map(({ host, port }) => ({ host, port }));
    repository = await RedisSessionRepository.create(
      resolveOptions({ type: 'redis', redis: { nodes }, keyPrefix: 'c:', storeTimeout: '10s' }),
    );
  }, 90_000);
  afterAll(async () => {
    await repository?.onApplicationShutdown();
    await cluster?.stop();
  });

  it('finds the sessions of a user on all nodes', async () => {
    const handles = Array.from({ length: 40 }, (_unused, n) => `ann${n}`);
    for (const handle of handles) await repository.create(handle, record('ann'), LONG);
    const found: string[] = [];
    let cursor: string | undefined;
    do {
      const page: Awaited<ReturnType<typeof repository.list>> = await repository.list({ principal: 'ann', cursor, limit: 15 });
      found.push(...page.records.map(({ handle }) => handle));
      cursor = page.cursor;
    } while (cursor !== undefined);
    expect(found.sort()).toEqual(handles.sort());
    expect(await repository.count({ principal: 'ann' })).toBe(40);
  });

  it('walks over all sessions of all nodes', async () => {
    const handles = Array.from({ length: 60 }, (_unused, n) => `any${n}`);
    for (const handle of handles) await repository.create(handle, record(), LONG);
    const found = new Set<string>();
    let cursor: string | undefined;
    do {
      const page: Awaited<ReturnType<typeof repository.list>> = await repository.list({ cursor, limit: 10 });
      for (const { handle } of page.records) found.add(handle);
      cursor = page.cursor;
    } while (cursor !== undefined);
    for (const handle of handles) expect(found).toContain(handle);
    expect(await repository.count({})).toBe(found.size);
  });
});
