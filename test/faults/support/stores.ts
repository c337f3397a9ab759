import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ServerSessionOptions } from 'nestjs-server-session';
import { startMariaDb, startMemcached, startMongo, startPostgres, startRedis, type TestServer } from '../../servers/index.js';

/** A back end on its real server, for several processes. */
export interface Store {
  readonly server?: TestServer | undefined;
  /** Whether what it acknowledged survives its own death. */
  readonly durable: boolean;
  /** The options of an application that uses it, readable as JSON; through another port where a proxy stands before it. */
  session(port?: number): ServerSessionOptions;
  stop(): Promise<void>;
}

export const STORES = ['redis', 'filesystem', 'memcached', 'mongodb', 'postgres', 'mariadb'] as const;
export type StoreName = (typeof STORES)[number];

const VARIABLES: Record<StoreName, string> = {
  redis: 'REDIS_URL',
  memcached: 'MEMCACHED_SERVERS',
  mongodb: 'MONGODB_URL',
  postgres: 'POSTGRES_URL',
  mariadb: 'MYSQL_URL',
  filesystem: '',
};

const START: Record<StoreName, () => Promise<Store>> = {
  redis: async () => {
    const server = await startRedis((process.env[VARIABLES.redis] ?? '') === '' ? { appendOnly: true } : {});
    return overServer(server, (url) => ({ type: 'redis', redis: { url } }));
  },
  memcached: async () => {
    const server = await startMemcached();
    return overServer(server, (url) => ({ type: 'memcached', memcached: { servers: [new URL(url).host] } }));
  },
  mongodb: async () => {
    const server = await startMongo();
    return overServer(server, (uri) => ({ type: 'mongodb', mongodb: { uri, db: 'faults' } }));
  },
  postgres: async () => {
    const server = await startPostgres({ durable: true });
    return overServer(server, (url) => ({ type: 'typeorm', typeorm: { type: 'postgres', url } }));
  },
  mariadb: async () => {
    const server = await startMariaDb({ durable: true });
    return overServer(server, (url) => ({ type: 'typeorm', typeorm: { type: 'mysql', url } }));
  },
  filesystem: async () => {
    const dir = await mkdtemp(join(tmpdir(), 'session-faults-'));
    return {
      durable: true,
      session: () => ({ type: 'filesystem', filesystem: { dir, threshold: 0 } }),
      stop: () => rm(dir, { recursive: true, force: true }),
    };
  },
};

/** The environment variable that names a server which is not ours to harm; '' for none. */
export function variableOf(name: StoreName): string {
  return VARIABLES[name];
}

export function startStore(name: StoreName): Promise<Store> {
  return START[name]();
}

function overServer(server: TestServer, session: (url: string) => ServerSessionOptions): Store {
  return {
    server,
    durable: server.keepsData,
    session: (port = server.port) => {
      const url = new URL(server.url);
      url.port = String(port);
      return session(url.href);
    },
    stop: () => server.stop(),
  };
}
