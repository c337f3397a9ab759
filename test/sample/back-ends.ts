import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startMariaDb, startMemcached, startMongo, startPostgres, startRedis } from '../servers/index.js';

/** Where the sample keeps its sessions for a test. */
export interface Place {
  /** The variables that lead it there. */
  readonly env: Readonly<Record<string, string>>;
  remove(): Promise<void>;
}

export interface BackEnd {
  readonly name: string;
  readonly start: () => Promise<Place>;
}

/** The back ends whose sessions survive a restart of the application. */
export const BACK_ENDS: readonly BackEnd[] = [
  {
    name: 'filesystem, the default',
    start: () => inFolder((folder) => ({ SESSION_FILE_DIR: folder })),
  },
  { name: 'redis', start: async () => onServer(await startRedis(), ({ url }) => ({ SESSION_TYPE: 'redis', SESSION_REDIS: url })) },
  {
    name: 'memcached',
    start: async () =>
      onServer(await startMemcached(), ({ host, port }) => ({ SESSION_TYPE: 'memcached', SESSION_MEMCACHED: `${host}:${port}` })),
  },
  {
    name: 'mongodb',
    start: async () => onServer(await startMongo(), ({ url }) => ({ SESSION_TYPE: 'mongodb', SESSION_MONGODB: url })),
  },
  {
    name: 'postgres',
    start: async () => onServer(await startPostgres(), ({ url }) => ({ SESSION_TYPE: 'sqlalchemy', SESSION_SQLALCHEMY: url })),
  },
  {
    name: 'mariadb',
    start: async () => onServer(await startMariaDb(), ({ url }) => ({ SESSION_TYPE: 'typeorm', SESSION_SQLALCHEMY: url })),
  },
  {
    name: 'sqlite',
    start: () => inFolder((folder) => ({ SESSION_TYPE: 'typeorm', SESSION_SQLALCHEMY: `sqlite:///${join(folder, 'shop.db')}` })),
  },
];

interface Server {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  stop(): Promise<void>;
}

function onServer(server: Server, env: (server: Server) => Record<string, string>): Place {
  return { env: env(server), remove: () => server.stop() };
}

async function inFolder(env: (folder: string) => Record<string, string>): Promise<Place> {
  const folder = await mkdtemp(join(tmpdir(), 'shop-'));
  return { env: env(folder), remove: () => rm(folder, { recursive: true, force: true }) };
}
