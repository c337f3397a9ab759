import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startMongo, startPostgres, startRedis, type TestServer } from '../test/servers/index.js';
import type { Store } from './contenders/contender.js';

/** A store that is ready for contenders. */
export interface OpenStore {
  /** What a contender gets to know: a URL or a folder. */
  readonly location: string;
  readonly server: TestServer | undefined;
  close(): Promise<void>;
}

/** Starts the server of a store, as the tests do, or makes a folder. */
export async function openStore(store: Store): Promise<OpenStore> {
  switch (store) {
    case 'redis':
      // Its data are dropped between contenders: with an option of its own it is never somebody else's from the environment.
      return ofServer(await startRedis({ args: ['--maxmemory-policy', 'noeviction'] }));
    case 'postgres':
      return ofServer(await startPostgres());
    case 'mongodb':
      return ofServer(await startMongo());
    case 'filesystem':
      return folder();
    case 'memory':
      return { location: '', server: undefined, close: () => Promise.resolve() };
  }
}

function ofServer(server: TestServer): OpenStore {
  return { location: server.url, server, close: () => server.stop() };
}

async function folder(): Promise<OpenStore> {
  const location = await mkdtemp(join(tmpdir(), 'session-bench-'));
  return { location, server: undefined, close: () => rm(location, { recursive: true, force: true }) };
}
