import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { MemcacheClient } from 'memcache-client';
import { describeSessionRepository } from 'nestjs-server-session/testing';
import { randomUUID } from 'node:crypto';
import { UnreadableRecordError } from '../../lib/errors.js';
import type { MemcachedSessionRepository } from '../../lib/repositories/memcached/memcached-session.repository.js';
import { startMemcached, startMemcachedNodes, type ServerGroup, TcpProxy, type TestServer } from '../servers/index.js';
import { eventually } from '../support/eventually.js';
import { addressOf, ask, commandsDuring, openMemcached, record, secondsLeft, stat } from './memcached.probe.js';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const TRAITS = { lists: false, minimumLifetime: 1000 };

let server: TestServer;
let three: ServerGroup;

beforeAll(async () => {
  server = await startMemcached();
  three = await startMemcachedNodes(3);
});
afterAll(async () => {
  await server.stop();
  await three.stop();
});

describeSessionRepository('memcached', () => openMemcached({ servers: addressOf(server) }), TRAITS);
describeSessionRepository('memcached on three servers', () => openMemcached({ servers: three.nodes.map(addressOf) }), TRAITS);
describeSessionRepository('memcached without a key prefix', () => openMemcached({ servers: addressOf(server) }, { keyPrefix: '' }), TRAITS);

describe('memcached', () => {
  let repository: MemcachedSessionRepository;

  beforeAll(async () => {
    repository = await openMemcached({ servers: addressOf(server) });
  });
  afterAll(() => repository.onApplicationShutdown());

  const stored = async (text = 'text', ttl = MINUTE): Promise<{ handle: string; key: string; version: string }> => {
    const handle = randomUUID();
    const version = await repository.create(handle, record(text), ttl);
    return { handle, key: `session:${handle}`, version: version! };
  };

  describe('commands', () => {
    it('are one to create', async () => {
      expect(await commandsDuring(server, () => stored())).toEqual({ cmd_set: 1 });
    });

    it('are one to read, present or absent', async () => {
      const { handle } = await stored();
      expect(await commandsDuring(server, () => repository.read(handle))).toEqual({ cmd_get: 1 });
      expect(await commandsDuring(server, () => repository.read(randomUUID()))).toEqual({ cmd_get: 1 });
    });

    it('are one to read and extend', async () => {
      const { handle, key } = await stored('text', MINUTE);
      expect(await commandsDuring(server, () => repository.read(handle, 10 * MINUTE))).toEqual({ cmd_touch: 1 });
      expect(await secondsLeft(server, key)).toBeGreaterThan(590);
    });

    it('are one to change what was read', async () => {
      const { handle } = await stored();
      const { version } = (await repository.read(handle))!;
      const change = (): Promise<unknown> => repository.update(handle, record('new'), version, MINUTE);
      expect(await commandsDuring(server, change)).toEqual({ cmd_set: 1, cas_hits: 1 });
      expect(await commandsDuring(server, change)).toEqual({ cmd_set: 1, cas_badval: 1 });
    });

    it('are two to change what was just written, because Memcached does not tell its token', async () => {
      const { handle, version } = await stored();
      const change = (): Promise<unknown> => repository.update(handle, record('new'), version, MINUTE);
      expect(await commandsDuring(server, change)).toEqual({ cmd_get: 1, cmd_set: 1, cas_hits: 1 });
      expect(await commandsDuring(server, change)).toEqual({ cmd_get: 1 });
    });

    it('are one to delete', async () => {
      const { handle } = await stored();
      expect(await commandsDuring(server, () => repository.delete(handle))).toEqual({ delete_hits: 1 });
    });

    it('are one to delete the state that was read, and nothing of it is left', async () => {
      const { handle, key } = await stored();
      const { version } = (await repository.read(handle))!;
      const remove = (): Promise<unknown> => repository.delete(handle, version);
      expect(await commandsDuring(server, remove)).toEqual({ cmd_set: 1, cas_hits: 1 });
      expect(await ask(server, `mg ${key} t`)).toBe('EN\r\n');
      expect(await commandsDuring(server, remove)).toEqual({ cmd_set: 1, cas_misses: 1 });
    });
  });

  describe('lifetimes', () => {
    // Memcached takes a number over 30 days for a date in 1970, and drops the record at once.
    it.each([29, 30, 31, 400, 4000])('of %d days are what they say, by create, update and touch', async (days) => {
      const ttl = days * DAY;
      const created = await stored('text', ttl);
      const updated = await stored();
      await repository.update(updated.handle, record('new'), updated.version, ttl);
      const touched = await stored();
      await repository.read(touched.handle, ttl);
      for (const { handle, key } of [created, updated, touched]) {
        expect(await repository.read(handle)).toBeDefined();
        const extra = (await secondsLeft(server, key)) - ttl / 1000;
        expect(Math.abs(extra)).toBeLessThan(30);
      }
    });

    it('beyond what Memcached can count end in 2038, and not at once', async () => {
      const { handle, key } = await stored('text', 40 * 365 * DAY);
      expect(await repository.read(handle)).toBeDefined();
      const end = (await stat(server, 'time')) + (await secondsLeft(server, key));
      expect(Math.abs(end - 2 ** 31)).toBeLessThan(30);
    });

    it('are never shorter than asked, though Memcached counts whole ticks', async () => {
      const lifetimes = await Promise.all(
        Array.from({ length: 20 }, async (_unused, index) => {
          await new Promise((resolve) => setTimeout(resolve, index * 50));
          const { handle } = await stored('text', 1000);
          await new Promise((resolve) => setTimeout(resolve, 800));
          return repository.read(handle);
        }),
      );
      expect(lifetimes).not.toContain(undefined);
    });
  });

  describe('keys', () => {
    const LONG_HANDLE = 'h'.repeat(128);

    it('are prefix and handle', async () => {
      const { key } = await stored();
      expect(await ask(server, `mg ${key} t`)).toMatch(/^HD/);
    });

    it.each([
      ['122 characters, which makes 250 with the handle', 'p'.repeat(122)],
      ['123 characters', 'p'.repeat(123)],
      ['1000 characters', 'p'.repeat(1000)],
      ['spaces', 'my shop : '],
      ['line ends and a command', 'a 0 0 1\r\nflush_all\r\n'],
      ['control characters', '\0\x01\x7f'],
      ['other letters', 'größe-日本-😀:'],
    ])('work with a prefix of %s', async (_what, prefix) => {
      const keyPrefix = `${prefix}${randomUUID()}`.slice(-Math.max(prefix.length, 1));
      const odd = await openMemcached(
        { servers: addressOf(server) },
        { keyPrefix: prefix.length > 100 ? keyPrefix : prefix + randomUUID() },
      );
      const version = await odd.create(LONG_HANDLE, record('text'), MINUTE);
      expect(version).toBeDefined();
      expect(await odd.create(LONG_HANDLE, record('other'), MINUTE)).toBeUndefined();
      expect(Buffer.from((await odd.read(LONG_HANDLE, MINUTE))!.payload).toString()).toBe('text');
      expect((await odd.update(LONG_HANDLE, record('new'), version!, MINUTE)).status).toBe('updated');
      expect(await odd.read(`${LONG_HANDLE.slice(1)}i`)).toBeUndefined();
      expect(await odd.delete(LONG_HANDLE)).toBe(true);
      odd.onApplicationShutdown();
    });
  });

  describe('a record over the item size of the server', () => {
    const large = { payload: Buffer.alloc(2 * 1024 * 1024, 'x') };

    it('is refused with an error that says what to do, and the record before stays', async () => {
      const { handle } = await stored('before');
      const { version } = (await repository.read(handle))!;
      await expect(repository.update(handle, large, version, MINUTE)).rejects.toThrow(/2097154 bytes.*'-I'.*'maxBytes'/);
      expect(Buffer.from((await repository.read(handle))!.payload).toString()).toBe('before');
      expect((await repository.update(handle, record('after'), version, MINUTE)).status).toBe('updated');
    });

    it('is not created, and what follows on the connection works', async () => {
      const handle = randomUUID();
      const [refused, other] = await Promise.allSettled([repository.create(handle, large, MINUTE), stored()]);
      expect([refused.status, other.status]).toEqual(['rejected', 'fulfilled']);
      expect(await repository.read(handle)).toBeUndefined();
    });
  });

  describe('the value of another program', () => {
    const TEXT = 'O:8:"stdClass":0:{}';

    it.each([
      ['a text', 0, TEXT],
      ['a text like ours', 0, '1:text'],
      ['bytes', 8, TEXT],
      ['bytes without a counter', 8, ':text'],
      ['bytes with a huge counter', 8, `${'9'.repeat(30)}:text`],
      ['no bytes', 8, ''],
      ['JSON', 2, '{"a":1}'],
      ['what says that it is JSON, and is not', 2, '{'],
      ['a number', 4, '12'],
      ['what says that it is compressed, and is not', 9, TEXT],
    ])('is unreadable, and no state to update: %s', async (_what, flags, value) => {
      const { handle, key, version } = await stored();
      expect(await ask(server, `set ${key} ${flags} 0 ${value.length}\r\n${value}`)).toBe('STORED\r\n');
      await expect(repository.read(handle)).rejects.toThrow(UnreadableRecordError);
      await expect(repository.read(handle, MINUTE)).rejects.toThrow(UnreadableRecordError);
      expect(await repository.update(handle, record('new'), version, MINUTE)).toEqual({ status: 'conflict' });
      expect(await repository.delete(handle)).toBe(true);
    });
  });

  it('takes the version of another back end for one that no record has', async () => {
    const { handle } = await stored();
    for (const version of ['', 'x', '1:x', '-1', '1:2:3', '1\r\nflush_all'])
      expect(await repository.update(handle, record('new'), version, MINUTE)).toEqual({ status: 'conflict' });
  });

  describe('the client', () => {
    it('of the application is used, and not closed', async () => {
      const client = new MemcacheClient({ server: addressOf(server) });
      const guest = await openMemcached({ client });
      await guest.create('of-a-guest', record('text'), MINUTE);
      guest.onApplicationShutdown();
      expect((await client.get<Buffer>('session:of-a-guest')).value.toString()).toBe('1:text');
      await client.delete('session:of-a-guest');
      client.shutdown();
    });

    it('of our own is closed', async () => {
      const proxy = await TcpProxy.start(server.port);
      const own = await openMemcached({ servers: addressOf(proxy) });
      own.onModuleInit();
      await own.read('anything');
      expect(proxy.connections).toBe(1);
      own.onApplicationShutdown();
      await expect(own.read('anything')).rejects.toThrow('was closed');
      await eventually(async () => expect(proxy.connections).toBe(0));
      await proxy.stop();
    });

    it('uses one connection a server, however many requests there are', async () => {
      const before = await stat(server, 'total_connections');
      const own = await openMemcached({ servers: addressOf(server) });
      await Promise.all(Array.from({ length: 200 }, (_unused, index) => own.read(`handle${index}`)));
      own.onApplicationShutdown();
      // The second question of the probe is a connection too.
      expect((await stat(server, 'total_connections')) - before).toBe(2);
    });

    it('that connects when its request is long over sends nothing', async () => {
      class SlowClient extends MemcacheClient {
        override async send<T>(...args: Parameters<MemcacheClient['send']>): Promise<T> {
          await new Promise((resolve) => setTimeout(resolve, 120));
          return super.send<T>(...args);
        }
      }
      const client = new SlowClient({ server: addressOf(server) });
      const slow = await openMemcached({ client }, { storeTimeout: 100 });
      const late = async (): Promise<void> => {
        await expect(slow.create('late', record('text'), MINUTE)).rejects.toThrow('no connection within 100 ms');
      };
      expect(await commandsDuring(server, late)).toEqual({});
      client.shutdown();
    });
  });
});
