import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { Redis } from 'ioredis';
import { setTimeout as pause } from 'node:timers/promises';
import { resolveOptions } from '../../lib/options/resolve-options.js';
import type { RedisSessionOptions } from '../../lib/repositories/redis/redis.options.js';
import { RedisSessionRepository } from '../../lib/repositories/redis/redis-session.repository.js';
import { type RedisTestServer, startRedis, TcpProxy } from '../servers/index.js';
import { itUnless } from '../servers/it-unless.js';
import { eventually } from '../support/eventually.js';

const LONG = 600_000;
const STORE_TIMEOUT = 1000;
const record = { payload: Buffer.from('x'.repeat(300)) };

/** How the session module comes to its client, given where the server is. */
const CLIENTS: [name: string, options: (server: { host: string; port: number }) => RedisSessionOptions][] = [
  ['a client of ours', ({ host, port }) => ({ host, port })],
  [
    'a client of the application',
    (server) => {
      const client = new Redis({ host: server.host, port: server.port });
      client.on('error', () => undefined);
      clients.push(client);
      return { client };
    },
  ],
];
const clients: Redis[] = [];

describe.each(CLIENTS)('With %s,', (_name, optionsFor) => {
  let server: RedisTestServer;
  let proxy: TcpProxy | undefined;
  let repository: RedisSessionRepository | undefined;
  let errors: string[];

  const open = async (place: { host: string; port: number }): Promise<RedisSessionRepository> => {
    const redis = optionsFor(place);
    repository = await RedisSessionRepository.create(
      resolveOptions({ type: 'redis', redis, keyPrefix: 'outage:', storeTimeout: `${STORE_TIMEOUT}ms` }),
    );
    await repository.read('connects');
    return repository;
  };
  const succeeds = (operation: Promise<unknown>): Promise<boolean> =>
    Promise.race([
      operation.then(
        () => true,
        () => false,
      ),
      pause(STORE_TIMEOUT, false),
    ]);

  beforeEach(() => {
    errors = [];
    jest.spyOn(Logger.prototype, 'error').mockImplementation((message: string) => void errors.push(message));
    jest.spyOn(Logger.prototype, 'log').mockReturnValue();
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) client.disconnect();
    await repository?.onApplicationShutdown();
    await proxy?.stop();
    await server?.stop();
    jest.restoreAllMocks();
    repository = proxy = undefined;
  });

  it('a connection that the network has forgotten is given up, and the next requests are served', async () => {
    server = await startRedis();
    proxy = await TcpProxy.start(server);
    const tested = await open(proxy);
    await tested.create('kept', record, LONG);
    proxy.forget();
    // A client of the application sends it again, where it is set so; then even this one is served.
    await tested.read('kept').catch(() => undefined);
    expect(await succeeds(tested.read('kept'))).toBe(true);
    expect(errors).toEqual([expect.stringMatching(/^Redis at 127\.0\.0\.1:\d+: no answer within \d+ ms; the connection is cut$/)]);
    await eventually(async () => expect(Logger.prototype.log).toHaveBeenCalledWith('Redis is back'));
  });

  it('a new connection that is not answered is given up too', async () => {
    server = await startRedis();
    proxy = await TcpProxy.start(server);
    const tested = await open(proxy);
    proxy.drop();
    for (let time = 0; time < 3; time++) expect(await succeeds(tested.read('none'))).toBe(false);
    proxy.allow();
    // The connection that is being made was swallowed by the network, and is not reset.
    const start = performance.now();
    await eventually(async () => expect(await succeeds(tested.read('none'))).toBe(true), 10_000);
    expect(performance.now() - start).toBeLessThan(3 * STORE_TIMEOUT);
  });

  itUnless('REDIS_URL')('a primary that was demoted is left for the one that its address leads to now', async () => {
    server = await startRedis({ replicas: 1 });
    const [replica] = server.replicas;
    let target = { host: server.host, port: server.port };
    proxy = await TcpProxy.start(() => target);
    const tested = await open(proxy);
    await tested.create('kept', record, LONG);
    const [admin, promoted] = [new Redis(server.url), new Redis(replica!.url)];
    await admin.wait(1, 5000);
    await promoted.replicaof('NO', 'ONE');
    await admin.replicaof(replica!.host, replica!.port);
    // The address leads to the new primary from now on; the connection that is open does not.
    target = { host: replica!.host, port: replica!.port };
    expect(await succeeds(tested.create('refused', record, LONG))).toBe(false);
    expect(await succeeds(tested.create('taken', record, LONG))).toBe(true);
    expect(await promoted.exists('outage:taken')).toBe(1);
    expect(errors).toEqual([expect.stringContaining('is a read-only replica (READONLY); looking for the primary')]);
    admin.disconnect();
    promoted.disconnect();
  });

  itUnless('REDIS_URL')('a replica is still read where no primary can be found, and is not tried all the time', async () => {
    server = await startRedis({ replicas: 1 });
    proxy = await TcpProxy.start(server.replicas[0]!);
    const primary = new Redis(server.url);
    await primary.set('outage:kept', '1:text');
    await primary.wait(1, 5000);
    const tested = await open(proxy);
    const replica = new Redis(server.replicas[0]!.url);
    const received = async (): Promise<number> => Number(/total_connections_received:(\d+)/.exec(await replica.info('stats'))?.[1]);
    const before = await received();
    let reads = 0;
    for (let time = 0; time < 50; time++) {
      await tested.create('refused', record, LONG).catch(() => undefined);
      if (await succeeds(tested.read('kept'))) reads++;
    }
    expect(reads).toBeGreaterThan(40);
    expect((await received()) - before).toBeLessThan(10);
    expect(errors).toHaveLength(1);
    primary.disconnect();
    replica.disconnect();
  });

  itUnless('REDIS_URL')('a server that hangs gets little of what was refused, and nothing is kept for it', async () => {
    server = await startRedis();
    const tested = await open(server);
    await server.pause();
    let refused = 0;
    const heap: number[] = [];
    const end = performance.now() + 6 * STORE_TIMEOUT;
    const writes: Promise<void>[] = [];
    for (let n = 0; performance.now() < end; n++) {
      for (let i = 0; i < 20; i++)
        writes.push(
          tested.create(`hung-${n}-${i}`, record, LONG).then(
            () => undefined,
            () => void refused++,
          ),
        );
      await pause(20);
      if (n % 50 === 0) heap.push(process.memoryUsage().heapUsed);
    }
    await server.resume();
    await Promise.all(writes);
    await eventually(async () => expect(await succeeds(tested.read('none'))).toBe(true), 10_000);
    const observer = new Redis(server.url);
    await pause(STORE_TIMEOUT);
    const stored = await observer.dbsize();
    observer.disconnect();
    const answered = writes.length - refused;
    expect(refused).toBeGreaterThan(writes.length / 2);
    // Without an end to what is given to a socket it would be all that was refused.
    expect(stored - answered).toBeLessThan(refused / 10);
  });
});
