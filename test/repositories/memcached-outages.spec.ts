import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { MemcacheClient } from 'memcache-client';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MemcachedSessionRepository } from '../../lib/repositories/memcached/memcached-session.repository.js';
import { startMemcached, startMemcachedNodes, TcpProxy } from '../servers/index.js';
import { itUnless } from '../servers/it-unless.js';
import { refusedUntilAnswered } from '../support/refused-until-answered.js';
import { eventually } from '../support/eventually.js';
import { addressOf, commandsDuring, openMemcached, record, stat } from './memcached.probe.js';

const MINUTE = 60_000;
const TIMEOUT = 300;
/** What a rejection may take: the client looks every 75 ms at how long its commands have been waiting. */
const SOON = TIMEOUT + 1000;

const ownServerIt = itUnless('MEMCACHED_SERVERS');
const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function startOne(args: string[] = []): Promise<Awaited<ReturnType<typeof startMemcached>>> {
  const server = await startMemcached({ args });
  cleanups.push(() => server.stop());
  return server;
}

async function open(...servers: { host: string; port: number }[]): Promise<MemcachedSessionRepository> {
  const repository = await openMemcached({ servers: servers.map(addressOf) }, { storeTimeout: TIMEOUT });
  cleanups.push(() => repository.onApplicationShutdown());
  return repository;
}

async function expectRejection(question: () => Promise<unknown>): Promise<void> {
  const outcome = await Promise.race([
    question().then(
      () => 'answered',
      () => 'rejected',
    ),
    sleep(SOON, 'hanging', { ref: false }),
  ]);
  expect(outcome).toBe('rejected');
}

describe('Memcached that runs out of memory', () => {
  ownServerIt('evicts sessions: they read as absent, an update finds them gone, and nothing revives them', async () => {
    const server = await startOne(['-m', '8']);
    const repository = await open(server);
    const payload = Buffer.alloc(10_000, 'x');
    const early = new Map<string, string>();
    for (let index = 0; index < 50; index++) {
      const handle = `early${index}`;
      await repository.create(handle, { payload }, MINUTE);
      early.set(handle, (await repository.read(handle))!.version);
    }
    for (let index = 0; index < 2000; index++) await repository.create(`later${index}`, { payload }, MINUTE);
    expect(await stat(server, 'evictions')).toBeGreaterThan(0);

    const evicted: [handle: string, version: string][] = [];
    for (const [handle, version] of early) if ((await repository.read(handle)) === undefined) evicted.push([handle, version]);
    expect(evicted.length).toBeGreaterThan(0);
    for (const [handle, version] of evicted) {
      // As read, and as `create` returned it.
      for (const base of [version, '1']) expect(await repository.update(handle, { payload }, base, MINUTE)).toEqual({ status: 'gone' });
      expect(await repository.read(handle, MINUTE)).toBeUndefined();
      expect(await repository.delete(handle)).toBe(false);
      expect(await repository.read(handle)).toBeUndefined();
    }
    expect((await repository.read('later1999'))?.payload).toHaveLength(10_000);
  });

  /** Stores sessions of this size until the server takes no more. @returns what it said to the last one. */
  const fill = async (repository: MemcachedSessionRepository, bytes: number): Promise<string> => {
    const payload = Buffer.alloc(bytes, 'x');
    for (let index = 0; ; index++) {
      const failure = await repository.create(`size${bytes}_${index}`, { payload }, MINUTE).then(() => undefined, String);
      if (failure !== undefined) return failure;
    }
  };

  ownServerIt('and may not evict rejects what is new, keeps what it has, and sessions can still be ended', async () => {
    const server = await startOne(['-m', '4', '-M']);
    const repository = await open(server);
    expect(await fill(repository, 100_000)).toContain('SERVER_ERROR out of memory');
    // The smallest, too: a compare-and-delete that stores something would need one of those.
    expect(await fill(repository, 1)).toContain('SERVER_ERROR out of memory');

    const handle = 'size1_0';
    const { version } = (await repository.read(handle))!;
    await expect(repository.update(handle, { payload: Buffer.alloc(1) }, version, MINUTE)).rejects.toThrow('out of memory');
    expect(await repository.delete(handle, `1:${Number(version.slice(2)) + 1}`)).toBe(false);
    expect(await repository.read(handle)).toBeDefined();
    expect(await repository.delete(handle, version)).toBe(true);
    expect(await repository.read(handle)).toBeUndefined();
    expect(await repository.delete('size1_1')).toBe(true);
  });
});

describe('Memcached that is lost', () => {
  ownServerIt('rejects at once, and works again by itself, without what it held', async () => {
    const server = await startOne();
    const repository = await open(server);
    const version = (await repository.create('handle', record('text'), MINUTE))!;
    const { version: read } = (await repository.read('handle'))!;

    await server.kill();
    await expectRejection(() => repository.read('handle'));
    await expectRejection(() => repository.read('handle', MINUTE));
    await expectRejection(() => repository.create('another', record('text'), MINUTE));
    await expectRejection(() => repository.update('handle', record('new'), version, MINUTE));
    await expectRejection(() => repository.update('handle', record('new'), read, 400 * 24 * 60 * MINUTE));
    await expectRejection(() => repository.delete('handle'));

    await server.restart();
    expect(await repository.read('handle')).toBeUndefined();
    expect(await repository.update('handle', record('new'), read, MINUTE)).toEqual({ status: 'gone' });
    // What was rejected is not done later either.
    expect(await repository.read('another')).toBeUndefined();
    expect(await repository.create('another', record('text'), MINUTE)).toBeDefined();
  });

  ownServerIt('is no reason not to start, is found later, and is logged once', async () => {
    const logged: unknown[] = [];
    for (const level of ['log', 'error'] as const) {
      const spy = jest.spyOn(Logger.prototype, level).mockImplementation((line: unknown) => void logged.push(line));
      cleanups.push(() => spy.mockRestore());
    }
    const server = await startOne();
    await server.kill();
    const repository = await open(server);
    repository.onModuleInit();
    for (let tries = 0; tries < 5; tries++) await expectRejection(() => repository.read('handle'));
    await server.restart();
    expect(await repository.read('handle')).toBeUndefined();
    const name = `Memcached ${addressOf(server)}`;
    expect(logged).toEqual([expect.stringContaining(`${name}: `), `${name} is back`]);
  });

  ownServerIt('does not make anything hang when it is stopped and does not answer', async () => {
    const server = await startOne();
    const repository = await open(server);
    await repository.create('handle', record('text'), MINUTE);
    await server.pause();
    await Promise.all(Array.from({ length: 20 }, () => expectRejection(() => repository.read('handle'))));
    await expectRejection(() => repository.read('handle'));
    await server.resume();
    expect(await repository.read('handle')).toBeDefined();
  });

  ownServerIt('gets nothing later of what it could not be told', async () => {
    const server = await startOne();
    const proxy = await TcpProxy.start(server.port);
    cleanups.push(() => proxy.stop());
    const repository = await open(proxy);
    await repository.create('handle', record('text'), MINUTE);
    const { version } = (await repository.read('handle'))!;
    proxy.drop();
    const duringAndAfter = async (): Promise<void> => {
      await Promise.all([
        expectRejection(() => repository.create('another', record('text'), MINUTE)),
        expectRejection(() => repository.update('handle', record('new'), version, MINUTE)),
        expectRejection(() => repository.delete('handle')),
      ]);
      await proxy.heal();
      await sleep(TIMEOUT);
    };
    expect(await commandsDuring(server, duringAndAfter)).toEqual({});
    expect(await repository.read('handle')).toBeDefined();
  });

  ownServerIt('in the middle of an answer mixes up none of the next', async () => {
    const server = await startOne();
    const proxy = await TcpProxy.start(server.port);
    cleanups.push(() => proxy.stop());
    const repository = await open(proxy);
    const texts = Array.from({ length: 20 }, (_unused, index) => String(index).repeat(3000));
    for (const [index, text] of texts.entries()) await repository.create(`handle${index}`, record(text), MINUTE);
    for (const bytes of [1, 20, 500, 3000, 9001]) {
      proxy.cutAfterBytes(bytes);
      const found = await Promise.allSettled(texts.map((_text, index) => repository.read(`handle${index}`)));
      expect(found.some(({ status }) => status === 'rejected')).toBe(true);
      const right = (await Promise.all(texts.map((_text, index) => repository.read(`handle${index}`)))).map(
        (one, index) => Buffer.from(one!.payload).toString() === texts[index],
      );
      expect(right).not.toContain(false);
    }
  });
});

describe.each(['addresses', 'a client of the application'])('A network that forgets the connections to Memcached, given as %s,', (way) => {
  it('is noticed, and requests work again within two timeouts', async () => {
    const server = await startMemcached();
    cleanups.push(() => server.stop());
    const proxy = await TcpProxy.start(server.port);
    cleanups.push(() => proxy.stop());
    const address = addressOf(proxy);
    // A client that waits 5 s for an answer, which is its default, and has several connections.
    const client = way === 'addresses' ? undefined : new MemcacheClient({ server: { server: address, maxConnections: 5 } });
    const repository = await openMemcached(client ? { client } : { servers: address }, { storeTimeout: 1000 });
    cleanups.push(() => (client ? client.shutdown() : repository.onApplicationShutdown()));
    await repository.create('handle', record('text'), MINUTE);
    await Promise.all(Array.from({ length: 20 }, () => repository.read('handle')));
    expect(proxy.connections).toBe(client ? 5 : 1);

    proxy.forget();
    expect(await refusedUntilAnswered(() => repository.read('handle'))).toBeLessThanOrEqual(2);
    // All of them, too, whichever connection they meet.
    await eventually(async () => void (await Promise.all(Array.from({ length: 20 }, () => repository.read('handle')))));
  });
});

describe.each(['addresses', 'a client of the application'])('Memcached that hangs under writes, given as %s,', (way) => {
  ownServerIt('costs no memory meanwhile, and stores nothing later that was refused, except what lay in a socket', async () => {
    const server = await startOne();
    const client = way === 'addresses' ? undefined : new MemcacheClient({ server: addressOf(server) });
    const repository = await openMemcached(client ? { client } : { servers: addressOf(server) }, { storeTimeout: TIMEOUT });
    cleanups.push(() => (client ? client.shutdown() : repository.onApplicationShutdown()));
    const payload = Buffer.alloc(20_000, 'x');
    await repository.create('first', { payload }, MINUTE);
    await server.pause();
    let asked = 0;
    const memory: number[] = [];
    for (const end = performance.now() + 6000; performance.now() < end;) {
      const wave = Array.from({ length: 200 }, () => repository.create(`late${asked++}`, { payload }, MINUTE));
      const outcomes = await Promise.allSettled(wave);
      expect(outcomes.every(({ status }) => status === 'rejected')).toBe(true);
      memory.push(process.memoryUsage().rss);
    }
    await server.resume();
    await eventually(async () => expect(await repository.read('first')).toBeDefined());
    expect(asked).toBeGreaterThan(1000);
    expect(await stat(server, 'curr_items')).toBeLessThanOrEqual(1 + 64);
    expect(Math.max(...memory) - memory[1]!).toBeLessThan(60_000_000);
  });
});

describe('One Memcached of two that is lost', () => {
  ownServerIt('takes its own sessions along, and none of the other’s; none moves', async () => {
    const group = await startMemcachedNodes(2);
    cleanups.push(() => group.stop());
    const [lost, left] = [group.nodes[0]!, group.nodes[1]!];
    const repository = await open(lost, left);
    const handles = Array.from({ length: 100 }, (_unused, index) => `handle${index}`);
    for (const handle of handles) await repository.create(handle, record(handle), MINUTE);

    const onLeft = await open(left);
    const there = await Promise.all(handles.map(async (handle) => (await onLeft.read(handle)) !== undefined));
    const living = handles.filter((_handle, index) => there[index]);
    const dead = handles.filter((_handle, index) => !there[index]);
    expect(living.length).toBeGreaterThan(20);
    expect(dead.length).toBeGreaterThan(20);

    await lost.kill();
    for (const handle of living) {
      const { version } = (await repository.read(handle, MINUTE))!;
      expect((await repository.update(handle, record('new'), version, MINUTE)).status).toBe('updated');
    }
    for (const handle of dead) {
      await expectRejection(() => repository.read(handle));
      await expectRejection(() => repository.update(handle, record('new'), '1', MINUTE));
      await expectRejection(() => repository.create(handle, record('new'), MINUTE));
    }
    expect(await stat(left, 'curr_items')).toBe(living.length);

    await lost.restart();
    for (const handle of dead) expect(await repository.read(handle)).toBeUndefined();
    for (const handle of dead) expect(await repository.create(handle, record('again'), MINUTE)).toBeDefined();
    expect(await stat(lost, 'curr_items')).toBe(dead.length);
    expect(await stat(left, 'curr_items')).toBe(living.length);
  });
});
