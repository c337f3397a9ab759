import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ServerSessionOptions } from 'nestjs-server-session';
import { startMariaDb, startMemcached, startMongo, startPostgres, startRedis, type TestServer } from '../../servers/index.js';
import {
  type Conditions,
  MARIADB_USER,
  mariadbConditions,
  memcachedConditions,
  postgresConditions,
  redisConditions,
} from './conditions.js';

/** A back end on its real server, for several processes. */
export interface Store {
  readonly server?: TestServer | undefined;
  /** Whether what it acknowledged survives its own death. */
  readonly durable: boolean;
  /** Whether it forgets sessions where there is no room for more, instead of refusing new ones. */
  readonly evicts?: boolean;
  readonly conditions?: Conditions;
  /** The options of an application that uses it, readable as JSON; through another port where a proxy stands before it. */
  session(port?: number): ServerSessionOptions;
  stop(): Promise<void>;
}

export const STORES = ['redis', 'filesystem', 'memcached', 'mongodb', 'postgres', 'mariadb', 'sqlite'] as const;
export type StoreName = (typeof STORES)[number];

/** What can be done to a store. */
export type Trait = 'server' | keyof Conditions;

export const TRAITS: Readonly<Record<StoreName, readonly Trait[]>> = {
  redis: ['server', 'full', 'readOnly'],
  memcached: ['server', 'full'],
  mongodb: ['server'],
  postgres: ['server', 'readOnly', 'demoted'],
  mariadb: ['server', 'readOnly', 'demoted'],
  filesystem: [],
  sqlite: [],
};

const VARIABLES: Record<StoreName, string> = {
  redis: 'REDIS_URL',
  memcached: 'MEMCACHED_SERVERS',
  mongodb: 'MONGODB_URL',
  postgres: 'POSTGRES_URL',
  mariadb: 'MYSQL_URL',
  filesystem: '',
  sqlite: '',
};

const START: Record<StoreName, () => Promise<Store>> = {
  redis: async () => {
    const server = await startRedis((process.env[VARIABLES.redis] ?? '') === '' ? { appendOnly: true } : {});
    return { ...overServer(server, (url) => ({ type: 'redis', redis: { url } })), conditions: redisConditions(server) };
  },
  memcached: async () => {
    const server = await startMemcached();
    const store = overServer(server, (url) => ({ type: 'memcached', memcached: { servers: [new URL(url).host] } }));
    return { ...store, evicts: true, conditions: memcachedConditions(server) };
  },
  mongodb: async () => {
    const server = await startMongo();
    return overServer(server, (uri) => ({ type: 'mongodb', mongodb: { uri, db: 'faults' } }));
  },
  postgres: async () => {
    const server = await startPostgres({ durable: true });
    return {
      ...overServer(server, (url) => ({ type: 'typeorm', typeorm: { type: 'postgres', url } })),
      conditions: postgresConditions(server),
    };
  },
  mariadb: async () => {
    const server = await startMariaDb({ durable: true });
    if (!server.ours) return overServer(server, (url) => ({ type: 'typeorm', typeorm: { type: 'mysql', url } }));
    const conditions = await mariadbConditions(server);
    const asUser = (url: string): string => url.replace('root@', `${MARIADB_USER}@`);
    return { ...overServer(server, (url) => ({ type: 'typeorm', typeorm: { type: 'mysql', url: asUser(url) } })), conditions };
  },
  filesystem: () => inFolder((folder) => filesIn(folder)),
  sqlite: () => inFolder((folder) => sqliteIn(folder)),
};

/** Sessions in files of a folder. */
export const filesIn = (folder: string): ServerSessionOptions => ({
  type: 'filesystem',
  filesystem: { dir: join(folder, 'sessions'), threshold: 0 },
});

/** A database file in a folder. */
export const sqliteIn = (folder: string): ServerSessionOptions => ({
  type: 'typeorm',
  typeorm: { url: `sqlite:///${join(folder, 'sessions.db')}`, enableWAL: true },
});

/** The environment variable that names a server which is not ours to harm; '' for none. */
export function variableOf(name: StoreName): string {
  return VARIABLES[name];
}

export function startStore(name: StoreName): Promise<Store> {
  return START[name]();
}

async function inFolder(session: (folder: string) => ServerSessionOptions): Promise<Store> {
  const folder = await mkdtemp(join(tmpdir(), 'session-faults-'));
  return { durable: true, session: () => session(folder), stop: () => rm(folder, { recursive: true, force: true }) };
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
