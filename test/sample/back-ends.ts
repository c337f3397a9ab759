import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startMemcached, startRedis } from '../servers/index.js';

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
    start: async () => {
      const folder = await mkdtemp(join(tmpdir(), 'shop-'));
      return { env: { SESSION_FILE_DIR: folder }, remove: () => rm(folder, { recursive: true, force: true }) };
    },
  },
  { name: 'redis', start: async () => onServer(await startRedis(), ({ url }) => ({ SESSION_TYPE: 'redis', SESSION_REDIS: url })) },
  {
    name: 'memcached',
    start: async () =>
      onServer(await startMemcached(), ({ host, port }) => ({ SESSION_TYPE: 'memcached', SESSION_MEMCACHED: `${host}:${port}` })),
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
