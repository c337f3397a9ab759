import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { SessionOptionsError, type SessionRepository } from 'nestjs-server-session';
import { describeSessionRepository } from 'nestjs-server-session/testing';
import { resolveOptions } from '../../lib/options/resolve-options.js';
import { RedisSessionRepository } from '../../lib/repositories/redis/redis-session.repository.js';
import { startRedis, TcpProxy, type TestServer } from '../servers/index.js';
import { eventually } from '../support/eventually.js';
import { resolve } from '../support/resolve-options.js';

const PREFIX = 'near:';
const LIFETIME = 60_000;

let server: TestServer;
let redis: Redis;

beforeAll(async () => {
  server = await startRedis();
  redis = new Redis(server.url);
  redis.on('error', () => undefined);
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

const open = (url = server.url, nearCache: object = {}): Promise<RedisSessionRepository> =>
  RedisSessionRepository.create(resolveOptions({ type: 'redis', redis: { url, nearCache }, keyPrefix: PREFIX, storeTimeout: '1s' }));

describeSessionRepository('redis with a near cache', () => open());

describe('The near cache', () => {
  const repositories: SessionRepository[] = [];
  const opened = async (...args: Parameters<typeof open>): Promise<RedisSessionRepository> => {
    const repository = await open(...args);
    repositories.push(repository);
    return repository;
  };
  afterAll(() => Promise.all(repositories.map((repository) => repository.onApplicationShutdown?.())));

  const newHandle = (): string => randomBytes(32).toString('base64url');
  const record = (text: string): { payload: Buffer } => ({ payload: Buffer.from(text) });
  const textOf = async (repository: SessionRepository, handle: string): Promise<string | undefined> =>
    (await repository.read(handle))?.payload.toString();
  const reads = async (): Promise<number> => Number(/cmdstat_get:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1] ?? 0);

  /** Reads until the cache is fed and answers without the server. */
  const warm = async (repository: SessionRepository, handle: string): Promise<void> => {
    await eventually(async () => {
      await repository.read(handle);
      const before = await reads();
      await repository.read(handle);
      expect(await reads()).toBe(before);
    });
  };

  it('answers a repeated read without a command', async () => {
    const repository = await opened();
    const handle = newHandle();
    await repository.create(handle, record('a'), LIFETIME);
    await warm(repository, handle);
    const before = await reads();
    for (let time = 0; time < 100; time++) expect(await textOf(repository, handle)).toBe('a');
    expect(await reads()).toBe(before);
  });

  it('asks the server for no more than the record: never a second command for a read', async () => {
    const repository = await opened();
    const calls = async (): Promise<Record<string, number>> => {
      const info = await redis.info('commandstats');
      return Object.fromEntries(
        Array.from(info.matchAll(/cmdstat_(get|getex|pttl):calls=(\d+)/g), ([, name, count]) => [name, Number(count)]),
      );
    };
    await redis.config('RESETSTAT');
    const handles = Array.from({ length: 20 }, newHandle);
    await Promise.all(handles.map((handle) => repository.create(handle, record('a'), LIFETIME)));
    for (const touch of [LIFETIME, undefined]) await Promise.all(handles.map((handle) => repository.read(handle, touch)));
    const { getex, get = 0, pttl } = await calls();
    expect([getex, get <= handles.length, pttl]).toEqual([handles.length, true, undefined]);
  });

  it('keeps nothing whose end it does not know', async () => {
    const [mine, other] = [await opened(), await opened()];
    const handle = newHandle();
    await mine.create(handle, record('a'), LIFETIME);
    await warm(mine, handle);
    const before = await reads();
    await other.read(handle);
    await other.read(handle);
    expect(await reads()).toBe(before + 2);
    await other.read(handle, LIFETIME);
    await warm(other, handle);
  });

  it("shows this process's own changes at once, and those of others as soon as the server tells", async () => {
    const [mine, other] = [await opened(), await opened()];
    const handle = newHandle();
    await mine.create(handle, record('a'), LIFETIME);
    await warm(mine, handle);
    await mine.update(handle, record('b'), '1', LIFETIME);
    expect(await textOf(mine, handle)).toBe('b');
    await warm(mine, handle);
    await other.update(handle, record('c'), '2', LIFETIME);
    await eventually(async () => expect(await textOf(mine, handle)).toBe('c'));
    await warm(mine, handle);
    await other.delete(handle);
    await eventually(async () => expect(await textOf(mine, handle)).toBeUndefined());
  });

  it('never lets an outdated record win an update', async () => {
    const [mine, other] = [await opened(), await opened()];
    const handle = newHandle();
    await mine.create(handle, record('a'), LIFETIME);
    await warm(mine, handle);
    await other.update(handle, record('b'), '1', LIFETIME);
    expect(await mine.update(handle, record('c'), '1', LIFETIME)).toEqual({ status: 'conflict' });
    expect(await textOf(mine, handle)).toBe('b');
  });

  it('forgets everything when all keys are removed', async () => {
    const repository = await opened();
    const handle = newHandle();
    await repository.create(handle, record('a'), LIFETIME);
    await warm(repository, handle);
    await redis.flushall();
    await eventually(async () => expect(await textOf(repository, handle)).toBeUndefined());
  });

  it('a touch reaches the server', async () => {
    const repository = await opened();
    const handle = newHandle();
    await repository.create(handle, record('a'), 10_000);
    await warm(repository, handle);
    await repository.read(handle, LIFETIME);
    expect(await redis.pttl(PREFIX + handle)).toBeGreaterThan(10_000);
  });

  it('a record is not served past its own end, whether the server has noticed it or not', async () => {
    const repository = await opened();
    // The server looks for expired keys as seldom as it can.
    await redis.config('SET', 'hz', '1');
    const handle = newHandle();
    await repository.create(handle, record('a'), 1500);
    await warm(repository, handle);
    await sleep(1600);
    expect(await textOf(repository, handle)).toBeUndefined();
  });

  it('a record is not served for longer than maxAge', async () => {
    const repository = await opened(server.url, { maxAge: '300ms' });
    const handle = newHandle();
    await repository.create(handle, record('a'), LIFETIME);
    await warm(repository, handle);
    await sleep(350);
    const before = await reads();
    await repository.read(handle);
    expect(await reads()).toBe(before + 1);
  });

  it.each<[string, (proxy: TcpProxy) => void]>([
    ['is cut', (proxy) => proxy.cut()],
    ['falls silent', (proxy) => proxy.drop()],
  ])('serves nothing outdated once the connection %s, and works again by itself', async (_how, fault) => {
    const proxy = await TcpProxy.start(server);
    const repository = await opened(`redis://127.0.0.1:${proxy.port}`);
    const handle = newHandle();
    await repository.create(handle, record('a'), LIFETIME);
    await warm(repository, handle);
    fault(proxy);
    await redis.set(PREFIX + handle, await changed(handle));
    // What a connection that is silent cannot tell is noticed by the missing heartbeat.
    const seen = (): Promise<unknown> => Promise.race([textOf(repository, handle).catch(() => 'unreachable'), sleep(300, 'silent')]);
    await eventually(async () => expect(await seen()).not.toBe('a'));
    await proxy.heal();
    await eventually(async () => expect(await textOf(repository, handle)).toBe('z'));
    await warm(repository, handle);
    await proxy.stop();
  });

  /** The stored value with another payload of the same length, as another process would write it. */
  const changed = async (handle: string): Promise<Buffer> => {
    const value = Buffer.from((await redis.getBuffer(PREFIX + handle))!);
    value[value.length - 1] = 'z'.charCodeAt(0);
    return value;
  };

  it('is refused on a Cluster, with every other fault of its options', () => {
    const options = { type: 'redis', redis: { nodes: [{ host: 'a', port: 1 }], nearCache: { maxEntries: 0, size: 1 } } } as const;
    expect(() => resolve(options)).toThrow(SessionOptionsError);
    expect(() => resolve(options)).toThrow(/redis\.nearCache'[^]*redis\.nearCache\.maxEntries'[^]*redis\.nearCache\.size'/);
  });
});
