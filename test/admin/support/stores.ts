import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ServerSessionOptions } from 'nestjs-server-session';
import { MemorySessionRepository } from '../../../lib/repositories/memory/memory-session.repository.js';
import { startMongo, startPostgres, startRedis, startRedisCluster } from '../../servers/index.js';

/** A store that several applications can share. */
export interface SharedStore {
  readonly options: ServerSessionOptions;
  stop(): Promise<void>;
}

/** Many sessions are made at once here, on machines that do other things as well. */
const storeTimeout = '10s';

/** Every back end that can list, on its real server. */
export const STORES: Record<string, () => Promise<SharedStore>> = {
  memory: async () => ({ options: { repository: new MemorySessionRepository() }, stop: async () => undefined }),
  filesystem: async () => {
    const dir = await mkdtemp(join(tmpdir(), 'admin-'));
    return {
      options: { storeTimeout, type: 'filesystem', filesystem: { dir, threshold: 0 } },
      stop: () => rm(dir, { recursive: true, force: true }),
    };
  },
  redis: async () => {
    const server = await startRedis();
    return { options: { storeTimeout, type: 'redis', redis: { url: server.url } }, stop: () => server.stop() };
  },
  'redis-cluster': async () => {
    const cluster = await startRedisCluster();
    const nodes = cluster.masters.map(({ host, port }) => ({ host, port }));
    return { options: { storeTimeout, type: 'redis', redis: { nodes } }, stop: () => cluster.stop() };
  },
  postgres: async () => {
    const server = await startPostgres();
    return { options: { storeTimeout, type: 'typeorm', typeorm: { type: 'postgres', url: server.url } }, stop: () => server.stop() };
  },
  mongodb: async () => {
    const server = await startMongo();
    return { options: { storeTimeout, type: 'mongodb', mongodb: { uri: server.url, db: 'admin_test' } }, stop: () => server.stop() };
  },
};

export const STORE_NAMES = Object.keys(STORES);
export const STARTUP = 120_000;
