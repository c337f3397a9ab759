import 'reflect-metadata';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Logger, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Cluster, Redis } from 'ioredis';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { ServerSessionModule, SessionOptionsError, type SessionRepository } from 'nestjs-server-session';
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

const open = (url = server.url, nearCache: object | undefined = {}, options: object = {}): Promise<RedisSessionRepository> =>
  RedisSessionRepository.create(
    resolveOptions({ type: 'redis', redis: { url, nearCache, ...options }, keyPrefix: PREFIX, storeTimeout: '1s' }),
  );

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

  it('hears of what other processes do where ioredis puts a prefix of its own before keys', async () => {
    const prefixed = (nearCache?: object): Promise<RedisSessionRepository> => opened(server.url, nearCache, { keyPrefix: 'application:' });
    const [mine, other] = [await prefixed({}), await prefixed()];
    const handle = newHandle();
    await mine.create(handle, record('a'), LIFETIME);
    await warm(mine, handle);
    expect(await redis.exists(`application:${PREFIX}${handle}`)).toBe(1);
    await other.delete(handle);
    await eventually(async () => expect(await textOf(mine, handle)).toBeUndefined(), 1000);
  });

  it('keeps no more bytes than maxBytes: what was not used for longest goes first', async () => {
    const repository = await opened(server.url, { maxBytes: 50_000 });
    const handles = Array.from({ length: 10 }, newHandle);
    for (const handle of handles) {
      await repository.create(handle, record('x'.repeat(10_000)), LIFETIME);
      await warm(repository, handle);
    }
    const readAgain = async (handle: string): Promise<number> => {
      const before = await reads();
      await repository.read(handle);
      return (await reads()) - before;
    };
    const [last, first] = [handles.at(-1)!, handles[0]!];
    expect([await readAgain(last), await readAgain(first)]).toEqual([0, 1]);
    const large = newHandle();
    await repository.create(large, record('x'.repeat(60_000)), LIFETIME);
    await repository.read(large);
    expect([await readAgain(large), await readAgain(last)]).toEqual([1, 0]);
  });

  it('is off with one line in the log where the user may not track, and on once the user may', async () => {
    const lines: string[] = [];
    const spy = jest.spyOn(Logger.prototype, 'error').mockImplementation((message: string) => void lines.push(message));
    const told = jest.spyOn(Logger.prototype, 'log').mockReturnValue();
    await redis.acl('SETUSER', 'careful', 'on', '>secret', '~*', '&*', '+@all', '-client|tracking');
    const connections = async (): Promise<number> => Number(/total_connections_received:(\d+)/.exec(await redis.info('stats'))?.[1]);
    const before = await connections();
    const repository = await opened(`redis://careful:secret@${server.host}:${server.port}`);
    const handle = newHandle();
    await repository.create(handle, record('a'), LIFETIME);
    await eventually(async () => expect(lines).toHaveLength(1));
    await sleep(1500);
    const start = await reads();
    await repository.read(handle);
    expect((await reads()) - start).toBe(1);
    expect(lines).toEqual([expect.stringMatching(/^the near cache is off, because Redis does not tell of changes \(NOPERM/)]);
    expect(lines[0]).not.toContain('secret');
    expect((await connections()) - before).toBeLessThanOrEqual(4);

    await redis.acl('SETUSER', 'careful', '+client|tracking');
    await warm(repository, handle);
    expect(told).toHaveBeenCalledWith('The near cache of Redis is back');
    spy.mockRestore();
    told.mockRestore();
    await redis.acl('DELUSER', 'careful');
  });

  it.each([
    ['nodes', () => ({ nodes: [{ host: '127.0.0.1', port: 1 }] })],
    ['a client', () => ({ client: new Cluster([{ host: '127.0.0.1', port: 1 }], { lazyConnect: true }) })],
  ])('is refused by the module on a Cluster that is given as %s', async (_how, target) => {
    @Module({ imports: [ServerSessionModule.forRoot({ type: 'redis', redis: { ...target(), nearCache: {} } })] })
    class Application {}
    const start = NestFactory.createApplicationContext(Application, { logger: false, abortOnError: false });
    await expect(start).rejects.toThrow(/'redis\.nearCache' is an object; allowed: nothing, because each node of a Cluster/);
  });

  it('is refused on a Cluster, with every other fault of its options', () => {
    const options = { type: 'redis', redis: { nodes: [{ host: 'a', port: 1 }], nearCache: { maxEntries: 0, size: 1 } } } as const;
    expect(() => resolve(options)).toThrow(SessionOptionsError);
    expect(() => resolve(options)).toThrow(/redis\.nearCache'[^]*redis\.nearCache\.maxEntries'[^]*redis\.nearCache\.size'/);
  });
});
