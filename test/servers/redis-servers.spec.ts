import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { startRedis, startRedisCluster, type TestServer } from './index.js';
import { itUnless } from './it-unless.js';

const STARTUP = 60_000;

describe('redis', () => {
  let server: TestServer;

  beforeAll(async () => {
    server = await startRedis();
  }, STARTUP);
  afterAll(() => server?.stop());

  it('answers and says its version', async () => {
    const client = new Redis(server.url);
    expect(await client.set('key', 'value')).toBe('OK');
    expect(await client.get('key')).toBe('value');
    await client.quit();
    expect(server.version).toMatch(/\d+\.\d+/);
  });

  itUnless('REDIS_URL')('says nothing while paused and goes on afterwards', async () => {
    const client = new Redis(server.url);
    await client.set('before', '1');
    await server.pause();
    let answered = false;
    const reply = client.get('before').then((value) => {
      answered = true;
      return value;
    });
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(answered).toBe(false);
    await server.resume();
    expect(await reply).toBe('1');
    await client.quit();
  });

  itUnless('REDIS_URL')(
    'comes back empty on the same port after a kill',
    async () => {
      const client = new Redis(server.url, { retryStrategy: () => 20 });
      client.on('error', () => undefined);
      await client.set('lost', '1');
      await server.kill();
      await server.restart();
      expect(await client.get('lost')).toBeNull();
      client.disconnect();
      expect(server.keepsData).toBe(false);
    },
    STARTUP,
  );

  itUnless('REDIS_URL')(
    'keeps its data over a kill with an append-only file',
    async () => {
      const durable = await startRedis({ appendOnly: true });
      try {
        const client = new Redis(durable.url, { retryStrategy: () => 20 });
        client.on('error', () => undefined);
        await client.set('kept', '1');
        await durable.kill();
        await durable.restart();
        expect(await client.get('kept')).toBe('1');
        client.disconnect();
      } finally {
        await durable.stop();
      }
    },
    STARTUP,
  );

  it(
    'has replicas that follow',
    async () => {
      const primary = await startRedis({ replicas: 1 });
      try {
        const [replica] = primary.replicas;
        const writer = new Redis(primary.url);
        const reader = new Redis(replica?.url ?? '');
        await writer.set('key', 'replicated');
        await writer.wait(1, 5000);
        expect(await reader.get('key')).toBe('replicated');
        writer.disconnect();
        reader.disconnect();
      } finally {
        await primary.stop();
      }
    },
    STARTUP,
  );

  it('refuses to harm a server that the environment gives', async () => {
    const before = process.env['REDIS_URL'];
    const runFile = process.env['SERVER_SESSION_RUN_FILE'];
    process.env['REDIS_URL'] = server.url;
    // The table at the end of the run shall not show what is only pretended here.
    process.env['SERVER_SESSION_RUN_FILE'] = '';
    try {
      const external = await startRedis();
      expect(external).toMatchObject({ ours: false, source: 'environment', port: server.port });
      await expect(external.kill()).rejects.toThrow('unset REDIS_URL to run the fault tests');
      await expect(startRedis({ args: ['--maxmemory', '1mb'] })).rejects.toThrow('options args');
      await external.stop();
    } finally {
      process.env['SERVER_SESSION_RUN_FILE'] = runFile ?? '';
      if (before === undefined) delete process.env['REDIS_URL'];
      else process.env['REDIS_URL'] = before;
    }
    const client = new Redis(server.url);
    expect(await client.ping()).toBe('PONG');
    await client.quit();
  });
});

describe('redis cluster', () => {
  it.each([0, 1])(
    'serves all slots with %i replicas per master',
    async (replicasPerMaster) => {
      const cluster = await startRedisCluster({ replicasPerMaster });
      try {
        expect(cluster.nodes).toHaveLength(3 * (1 + replicasPerMaster));
        const client = new Redis.Cluster(cluster.nodes.map(({ host, port }) => ({ host, port })));
        const keys = Array.from({ length: 30 }, (_unused, index) => `key-${index}`);
        await Promise.all(keys.map((key) => client.set(key, `value of ${key}`)));
        expect(await Promise.all(keys.map((key) => client.get(key)))).toEqual(keys.map((key) => `value of ${key}`));
        client.disconnect();
      } finally {
        await cluster.stop();
      }
    },
    STARTUP,
  );
});
