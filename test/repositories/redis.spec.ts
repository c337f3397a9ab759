import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { Redis } from 'ioredis';
import { describeSessionRepository } from 'nestjs-server-session/testing';
import { setTimeout as pause } from 'node:timers/promises';
import { UnreadableRecordError } from '../../lib/errors.js';
import { resolveOptions } from '../../lib/options/resolve-options.js';
import type { RedisSessionOptions } from '../../lib/repositories/redis/redis.options.js';
import { RedisSessionRepository } from '../../lib/repositories/redis/redis-session.repository.js';
import { startRedis, TcpProxy, type TestServer } from '../servers/index.js';
import { itUnless } from '../servers/it-unless.js';

const LONG = 600_000;
const STARTUP = 60_000;
const record = { payload: Buffer.from('text') };

/** Short, so that the cases about a lost server do not take long. */
function open(redis: RedisSessionOptions, storeTimeout = '300ms'): Promise<RedisSessionRepository> {
  return RedisSessionRepository.create(resolveOptions({ type: 'redis', redis, keyPrefix: 'test:', storeTimeout }));
}

let server: TestServer;
beforeAll(async () => {
  server = await startRedis();
}, STARTUP);
afterAll(() => server?.stop());

describeSessionRepository('redis', () => open({ url: server.url }, '5s'));

describe('redis', () => {
  let redis: Redis;
  let repository: RedisSessionRepository;

  beforeAll(async () => {
    redis = new Redis(server.url);
    repository = await open({ url: server.url }, '5s');
  });
  afterAll(async () => {
    await repository?.onApplicationShutdown();
    await redis?.quit();
  });

  describe('the commands', () => {
    /** Those that clients sent: a script's own calls are counted by the server like any other, so they are subtracted. */
    const sentBy = async (operation: () => Promise<unknown>): Promise<Record<string, number>> => {
      await redis.config('RESETSTAT');
      await operation();
      const info = await redis.info('commandstats');
      const counts = new Map(Array.from(info.matchAll(/cmdstat_(\w+):calls=(\d+)/g), ([, name, calls]) => [name ?? '', Number(calls)]));
      for (const name of ['info', 'config', 'config|resetstat', 'ping']) counts.delete(name);
      const writesOfScript = Math.min(counts.get('getrange') ?? 0, counts.get('set') ?? 0);
      counts.delete('getrange');
      counts.set('set', (counts.get('set') ?? 0) - writesOfScript);
      return Object.fromEntries([...counts].filter(([, calls]) => calls > 0));
    };

    it('are one for each operation', async () => {
      await repository.create('warm', record, LONG);
      await repository.update('warm', record, '1', LONG);
      await repository.delete('warm');

      expect(await sentBy(() => repository.create('counted', record, LONG))).toEqual({ set: 1 });
      expect(await sentBy(() => repository.read('counted'))).toEqual({ get: 1 });
      expect(await sentBy(() => repository.read('counted', LONG))).toEqual({ getex: 1 });
      expect(await sentBy(() => repository.update('counted', record, '1', LONG))).toEqual({ evalsha: 1 });
      expect(await sentBy(() => repository.update('counted', record, '1', LONG))).toEqual({ evalsha: 1 });
      expect(await sentBy(() => repository.delete('counted'))).toMatchObject({ evalsha: 1 });
      expect(await sentBy(() => repository.read('counted', LONG))).toEqual({ getex: 1 });
    });

    it('go on when the server has forgotten the scripts', async () => {
      await repository.create('forgotten', record, LONG);
      await redis.script('FLUSH');
      expect(await repository.update('forgotten', record, '1', LONG)).toEqual({ status: 'updated', version: '2' });
      expect(await sentBy(() => repository.update('forgotten', record, '2', LONG))).toEqual({ evalsha: 1 });
    });

    it('of one turn of the event loop reach the server together', async () => {
      // The server counts how often it found something to read; asking it is once.
      const arrivals = async (): Promise<number> => Number(/total_reads_processed:(\d+)/.exec(await redis.info('stats'))?.[1]);
      const arrivalsOf = async (operation: () => Promise<unknown>): Promise<number> => {
        const before = await arrivals();
        await operation();
        return (await arrivals()) - before - 1;
      };
      const handles = Array.from({ length: 20 }, (_, n) => `turn-${n}`);
      const create = (): Promise<unknown> => Promise.all(handles.map((handle) => repository.create(handle, record, LONG)));
      const read = (): Promise<unknown> => Promise.all(handles.map((handle) => repository.read(handle)));
      expect(await arrivalsOf(create)).toBeLessThanOrEqual(3);
      expect(await arrivalsOf(read)).toBeLessThanOrEqual(3);
      expect(await arrivalsOf(() => repository.read('turn-0'))).toBe(1);
    });

    it('wait for the connection together, however many there are', async () => {
      const client = new Redis(server.url, { lazyConnect: true });
      const own = await open({ client }, '5s');
      const listeners = client.listenerCount('ready');
      const reads = Array.from({ length: 50 }, () => own.read('waits'));
      expect(client.listenerCount('ready')).toBe(listeners + 1);
      expect(await Promise.all(reads)).toEqual(Array.from({ length: 50 }));
      expect(client.listenerCount('ready')).toBe(listeners);
      client.disconnect();
    });

    it('that have not left when the connection is lost fail, and later ones do not', async () => {
      const client = new Redis(server.url, { autoResendUnfulfilledCommands: false, maxRetriesPerRequest: 0, retryStrategy: () => 10 });
      client.on('error', () => undefined);
      const own = await open({ client }, '2s');
      await own.create('unsent', record, LONG);
      const reads = [own.read('unsent'), own.read('unsent')];
      client.stream.destroy();
      for (const result of await Promise.allSettled(reads)) expect(result.status).toBe('rejected');
      expect((await own.read('unsent'))?.payload.toString()).toBe('text');
      client.disconnect();
    });

    it('leave one string a session, with the lifetime of the session', async () => {
      await repository.create('kept', record, LONG);
      expect(await redis.keys('test:kept*')).toEqual(['test:kept']);
      expect(await redis.get('test:kept')).toBe('1:text');
      expect(await redis.pttl('test:kept')).toBeGreaterThan(LONG / 2);
    });
  });

  it('deletes what another program wrote under the key, but not against a version', async () => {
    for (const write of [() => redis.rpush('test:foreign', '1'), () => redis.set('test:foreign', 'hello')]) {
      await write();
      expect(await repository.delete('foreign', '1')).toBe(false);
      expect(await repository.delete('foreign')).toBe(true);
      expect(await redis.exists('test:foreign')).toBe(0);
    }
  });

  describe('what another program wrote under the key', () => {
    it.each([
      ['a list', () => redis.rpush('test:foreign', '1', '2')],
      ['a hash', () => redis.hset('test:foreign', 'field', 'value')],
    ])('is an unreadable record: %s', async (_title, write) => {
      await write();
      try {
        await expect(repository.read('foreign')).rejects.toThrow(UnreadableRecordError);
        await expect(repository.read('foreign', LONG)).rejects.toThrow(UnreadableRecordError);
        await expect(repository.update('foreign', record, '1', LONG)).rejects.toThrow(UnreadableRecordError);
        expect(await repository.create('foreign', record, LONG)).toBeUndefined();
      } finally {
        await redis.del('test:foreign');
      }
    });

    it.each(['hello', '{"cookie":{}}', ':text', '1', '-1:text', '1.5:text', `${'1'.repeat(30)}:text`, '', '\0\x01\xff'])(
      'is an unreadable record: the string %j',
      async (value) => {
        await redis.set('test:foreign', Buffer.from(value, 'latin1'));
        try {
          await expect(repository.read('foreign')).rejects.toThrow(UnreadableRecordError);
          expect((await repository.update('foreign', record, '1', LONG)).status).not.toBe('updated');
          expect((await redis.getBuffer('test:foreign'))?.toString('latin1')).toBe(value);
        } finally {
          await redis.del('test:foreign');
        }
      },
    );
  });

  describe('the connection', () => {
    const named = async (name: string): Promise<number> => {
      const list = String(await redis.client('LIST'));
      return list.split('\n').filter((line) => line.includes(`name=${name} `)).length;
    };
    /** What a session goes through, in short. */
    const walk = async (tested: RedisSessionRepository, handle: string): Promise<unknown[]> => [
      await tested.create(handle, record, LONG),
      (await tested.update(handle, record, '1', LONG)).status,
      await tested.delete(handle),
    ];
    const WALKED = ['1', 'updated', true];

    it('is made from a URL, with further options, and closed by us', async () => {
      const own = await open({ url: server.url, connectionName: 'by-url' }, '5s');
      expect(await walk(own, 'by-url')).toEqual(WALKED);
      expect(await named('by-url')).toBe(1);
      await own.onApplicationShutdown();
      expect(await named('by-url')).toBe(0);
    });

    it('is made from ioredis’ options, and closed by us', async () => {
      const own = await open({ host: server.host, port: server.port, connectionName: 'by-options' }, '5s');
      expect(await walk(own, 'by-options')).toEqual(WALKED);
      expect(await named('by-options')).toBe(1);
      await own.onApplicationShutdown();
      expect(await named('by-options')).toBe(0);
    });

    it('may be a client of the application, which stays open', async () => {
      const client = new Redis(server.url);
      const foreign = await open({ client });
      expect(await walk(foreign, 'by-client')).toEqual(WALKED);
      await foreign.onApplicationShutdown();
      expect(await client.ping()).toBe('PONG');
      expect(await walk(foreign, 'by-client-again')).toEqual(WALKED);
      await client.quit();
      await expect(foreign.read('by-client')).rejects.toThrow('closed');
    });

    it('may be a client that connects at the first command', async () => {
      const client = new Redis(server.url, { lazyConnect: true });
      expect(await walk(await open({ client }, '5s'), 'lazy')).toEqual(WALKED);
      client.disconnect();
    });

    it('is closed even while it is still being made', async () => {
      const own = await open({ url: server.url, connectionName: 'short-lived' });
      await own.onApplicationShutdown();
      await expect(own.read('handle')).rejects.toThrow('connection to Redis was closed');
      expect(await named('short-lived')).toBe(0);
    });
  });
});

describe('redis, when the server is full', () => {
  let full: TestServer;
  let redis: Redis;
  let repository: RedisSessionRepository;

  beforeAll(async () => {
    full = await startRedis({ args: ['--maxmemory-policy', 'noeviction'] });
    redis = new Redis(full.url);
    repository = await open({ url: full.url }, '5s');
  }, STARTUP);
  afterAll(async () => {
    await repository?.onApplicationShutdown();
    await redis?.quit();
    await full?.stop();
  });

  it('ends sessions, of users too, and reads and prolongs them', async () => {
    for (const handle of ['any', 'versioned', 'read']) await repository.create(handle, { ...record, principal: 'ann' }, LONG);
    // Less than it needs already. The scripts are not known to it yet.
    await redis.config('SET', 'maxmemory', '1mb');
    await redis.script('FLUSH');
    await expect(repository.create('more', record, LONG)).rejects.toThrow('OOM');
    await expect(repository.update('versioned', record, '1', LONG)).rejects.toThrow('OOM');

    expect(await repository.delete('any')).toBe(true);
    expect(await repository.delete('versioned', '1')).toBe(true);
    expect((await repository.read('read', 2 * LONG))?.payload.toString()).toBe('text');
    expect((await repository.list({ principal: 'ann', limit: 10 })).records.map(({ handle }) => handle)).toEqual(['read']);
    expect(await repository.count({ principal: 'ann' })).toBe(1);
    const [index] = await redis.keys('test:principal:*');
    expect(await redis.zcard(index!)).toBe(1);
  });
});

describe('redis, when the server is lost', () => {
  let lost: TestServer;
  let repository: RedisSessionRepository;

  beforeEach(async () => {
    jest.spyOn(Logger.prototype, 'error').mockReturnValue();
    jest.spyOn(Logger.prototype, 'log').mockReturnValue();
    lost = await startRedis();
  }, STARTUP);
  afterEach(async () => {
    await repository?.onApplicationShutdown();
    await lost?.stop();
    jest.restoreAllMocks();
  });

  /** It finds its server again by itself, whoever asks. */
  const recovered = async (): Promise<void> => {
    while (
      !(await repository.read('anything').then(
        () => true,
        () => false,
      ))
    )
      await pause(20);
  };
  /** How often the server, since it was started, was asked to store something. */
  const setCommands = async (): Promise<string | undefined> => {
    const client = new Redis(lost.url);
    const info = await client.info('commandstats');
    await client.quit();
    return /cmdstat_set:calls=(\d+)/.exec(info)?.[1];
  };

  itUnless('REDIS_URL')('from the start, rejects and says so, and works when the server is there', async () => {
    await lost.kill();
    repository = await open({ url: lost.url });
    await expect(repository.create('handle', record, LONG)).rejects.toThrow(
      /no connection to Redis at 127\.0\.0\.1:\d+ within 262 ms: connect ECONNREFUSED/,
    );
    await expect(repository.read('handle')).rejects.toThrow(
      /no connection to Redis at 127\.0\.0\.1:\d+ within 262 ms: connect ECONNREFUSED/,
    );
    await lost.restart();
    await recovered();
    expect(await repository.create('handle', record, LONG)).toBe('1');
  });

  itUnless('REDIS_URL')('later, rejects, tells once, and recovers by itself', async () => {
    repository = await open({ url: lost.url });
    await repository.create('handle', record, LONG);
    await lost.kill();
    for (const operation of [
      () => repository.read('handle'),
      () => repository.create('another', record, LONG),
      () => repository.update('handle', record, '1', LONG),
      () => repository.delete('handle'),
    ])
      await expect(operation()).rejects.toThrow();
    expect(Logger.prototype.error).toHaveBeenCalledTimes(1);
    await lost.restart();
    await recovered();
    expect(await repository.create('handle', record, LONG)).toBe('1');
  });

  itUnless('REDIS_URL')('never carries out later what it has rejected', async () => {
    repository = await open({ url: lost.url });
    await repository.read('handle');
    await lost.kill();
    const results = await Promise.allSettled([1, 2, 3].map((index) => repository.create(`late${index}`, record, LONG)));
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    await lost.restart();
    await recovered();
    await pause(100);
    for (const index of [1, 2, 3]) expect(await repository.read(`late${index}`)).toBeUndefined();
    expect(await setCommands()).toBeUndefined();
  });

  it('does not send again what was under way when the connection was cut', async () => {
    const proxy = await TcpProxy.start(lost);
    try {
      repository = await open({ host: proxy.host, port: proxy.port });
      await recovered();
      const before = await setCommands();
      proxy.drop();
      const create = repository.create('under-way', record, LONG).then(
        () => 'acknowledged',
        () => 'rejected',
      );
      await pause(50);
      proxy.cut();
      expect(await create).toBe('rejected');
      await proxy.heal();
      await recovered();
      await pause(100);
      expect(await repository.read('under-way')).toBeUndefined();
      expect(await setCommands()).toBe(before);
    } finally {
      await proxy.stop();
    }
  });
});
