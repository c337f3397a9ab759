import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Cluster, Redis } from 'ioredis';
import { describeSessionRepository } from 'nestjs-server-session/testing';
import { resolveOptions } from '../../lib/options/resolve-options.js';
import type { RedisSessionOptions } from '../../lib/repositories/redis/redis.options.js';
import { RedisSessionRepository } from '../../lib/repositories/redis/redis-session.repository.js';
import { type RedisTestCluster, startRedisCluster } from '../servers/index.js';

const LONG = 600_000;
const record = { payload: Buffer.from('text') };

function open(redis: RedisSessionOptions): Promise<RedisSessionRepository> {
  return RedisSessionRepository.create(resolveOptions({ type: 'redis', redis, keyPrefix: 'test:', storeTimeout: '5s' }));
}

let cluster: RedisTestCluster;
const nodes = (): { host: string; port: number }[] => cluster.masters.map(({ host, port }) => ({ host, port }));

beforeAll(async () => {
  cluster = await startRedisCluster();
}, 90_000);
afterAll(() => cluster?.stop());

describeSessionRepository('redis-cluster', () => open({ nodes: nodes() }));

describe('redis-cluster', () => {
  /** What runs on each node. */
  const onEach = async <T>(ask: (client: Redis) => Promise<T>): Promise<T[]> =>
    Promise.all(
      cluster.masters.map(async ({ url }) => {
        const client = new Redis(url);
        try {
          return await ask(client);
        } finally {
          client.disconnect();
        }
      }),
    );

  it('spreads the sessions over the nodes', async () => {
    const repository = await open({ nodes: nodes() });
    const handles = Array.from({ length: 60 }, (_unused, index) => `spread${index}`);
    for (const handle of handles) await repository.create(handle, record, LONG);
    const counts = await onEach(async (client) => (await client.keys('test:spread*')).length);
    expect(counts.reduce((sum, count) => sum + count)).toBe(60);
    expect(Math.min(...counts)).toBeGreaterThan(0);
    await repository.onApplicationShutdown();
  });

  it('updates on every node when all have forgotten the scripts', async () => {
    const repository = await open({ nodes: nodes() });
    const handles = Array.from({ length: 20 }, (_unused, index) => `script${index}`);
    for (const handle of handles) await repository.create(handle, record, LONG);
    await onEach((client) => client.script('FLUSH'));
    const results = await Promise.all(handles.map((handle) => repository.update(handle, record, '1', LONG)));
    expect(results).toEqual(handles.map(() => ({ status: 'updated', version: '2' })));
    await repository.onApplicationShutdown();
  });

  it('finds the whole cluster by one node', async () => {
    const repository = await open({ nodes: nodes().slice(0, 1) });
    for (let index = 0; index < 20; index++) expect(await repository.create(`one-node${index}`, record, LONG)).toBe('1');
    await repository.onApplicationShutdown();
  });

  it('may be a Cluster of the application, which stays open', async () => {
    const client = new Cluster(nodes());
    const repository = await open({ client });
    expect(await repository.create('by-client', record, LONG)).toBe('1');
    await repository.onApplicationShutdown();
    expect(await client.get('test:by-client')).toBe('1:text');
    client.disconnect();
  });

  it('leaves no connection open after shutdown', async () => {
    const repository = await open({ nodes: nodes(), redisOptions: { connectionName: 'closing' } });
    for (let index = 0; index < 20; index++) await repository.read(`closing${index}`);
    const connections = (): Promise<number[]> =>
      onEach(async (client) => String(await client.client('LIST')).split('name=closing').length - 1);
    expect((await connections()).every((count) => count > 0)).toBe(true);
    await repository.onApplicationShutdown();
    expect(await connections()).toEqual([0, 0, 0]);
  });
});
