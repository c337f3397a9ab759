import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findBinary, findCompanion } from './find-binary.js';
import type { NativePlace, Recipe } from './recipe.js';
import { runCommand } from './run-command.js';
import { startServer } from './start-server.js';
import { copyTemplate } from './template-folder.js';
import type { TestServer } from './test-server.js';

export interface PostgresOptions {
  /** The server's time zone; UTC unless told otherwise. */
  readonly timeZone?: string;
  /** Write to disk for real, for tests that kill the server. */
  readonly durable?: boolean;
  /** More arguments for `postgres`. */
  readonly args?: readonly string[];
}

export async function startPostgres(options: PostgresOptions = {}): Promise<TestServer> {
  return startServer(recipe(options), {
    needsOwn: { timeZone: options.timeZone, args: options.args },
  });
}

function recipe({ timeZone = 'UTC', durable = false, args = [] }: PostgresOptions): Recipe {
  const sync = durable ? 'on' : 'off';
  const settings = [
    '-c',
    `timezone=${timeZone}`,
    '-c',
    `fsync=${sync}`,
    '-c',
    `synchronous_commit=${sync}`,
    '-c',
    `full_page_writes=${sync}`,
    // In the data folder, so that nothing stays in /dev/shm after a kill.
    '-c',
    'dynamic_shared_memory_type=mmap',
    '-c',
    'shared_buffers=16MB',
    '-c',
    'max_wal_size=256MB',
    '-c',
    'autovacuum=off',
    ...args,
  ];
  return {
    kind: 'postgres',
    user: 'postgres',
    // "Fast": without waiting for clients to leave, which SIGTERM does.
    shutdownSignal: 'SIGINT',
    // "Immediate": unlike SIGKILL it gives back its piece of System V shared memory.
    discardSignal: 'SIGQUIT',
    keepsData: () => true,
    prepare,
    afterwards: freeSharedMemory,
    args: ({ data, port }) => [
      '-D',
      data,
      '-p',
      String(port),
      '-c',
      'listen_addresses=127.0.0.1',
      '-c',
      'unix_socket_directories=',
      ...settings,
    ],
    container: {
      innerPort: 5432,
      dataFolder: '/var/lib/postgresql/data',
      env: { POSTGRES_HOST_AUTH_METHOD: 'trust' },
      args: () => ['postgres', ...settings],
    },
    url: (port) => `postgres://postgres@127.0.0.1:${port}/postgres`,
    probe,
  };
}

async function prepare({ target, data, user }: NativePlace): Promise<void> {
  const version = await runCommand(target, ['--version'], { timeout: 10_000 });
  await copyTemplate(version.trim(), data, user, async (folder) => {
    await runCommand(
      await findCompanion(target, 'initdb'),
      ['-D', folder, '-U', 'postgres', '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-sync'],
      {
        timeout: 60_000,
        cwd: folder,
        ...(user === undefined ? {} : { uid: user.uid, gid: user.gid }),
      },
    );
  });
}

/** A killed server leaves a small segment behind, and a machine has room for so many only. */
async function freeSharedMemory({ data }: NativePlace): Promise<void> {
  const lines = (await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
  const id = /^\s*\d+\s+(\d+)\s*$/.exec(lines[6] ?? '')?.[1];
  if (id === undefined || (await findBinary('ipcrm')) === undefined) return;
  await runCommand('ipcrm', ['-m', id], { timeout: 5000 }).catch(() => undefined);
}

async function probe(url: string): Promise<string> {
  const { default: pg } = await import('pg');
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 4000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ version: string }>(`SELECT current_setting('server_version') AS version`);
    return rows[0]?.version ?? 'unknown';
  } finally {
    await client.end();
  }
}
