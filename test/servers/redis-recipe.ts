import type { NativePlace, Recipe } from './recipe.js';
import type { ServerKind } from './test-server.js';

export interface RedisOptions {
  /** Keep every write over a restart (append-only file, synced on each write). */
  readonly appendOnly?: boolean;
  /** More arguments for redis-server; they win over those of the harness. */
  readonly args?: readonly string[];
}

export interface RedisRecipeOptions extends RedisOptions {
  readonly kind?: ServerKind;
  /** Arguments that follow from the role of this node. */
  readonly roleArgs?: readonly string[];
  readonly hostNetwork?: boolean;
}

export function redisRecipe(options: RedisRecipeOptions = {}): Recipe {
  const { appendOnly = false, args = [], roleArgs = [], hostNetwork = false } = options;
  const common = ['--save', '', '--appendonly', appendOnly ? 'yes' : 'no', '--appendfsync', 'always', ...roleArgs, ...args];
  const listen = (port: number) => ['--port', String(port), '--bind', '127.0.0.1'];
  return {
    kind: options.kind ?? 'redis',
    keepsData: () => appendOnly,
    // The log's folder is the working folder; it exists before the server does.
    args: ({ port }: NativePlace) => [...listen(port), ...common],
    container: {
      innerPort: 6379,
      dataFolder: '/data',
      hostNetwork,
      args: (port) => ['redis-server', ...(hostNetwork ? listen(port) : []), ...common],
    },
    url: (port) => `redis://127.0.0.1:${port}`,
    probe: async (url) => {
      const info = await askRedis(url, async (client) => {
        // INFO is answered while the data are still being loaded, PING is not.
        await client.ping();
        return client.info('server');
      });
      const valkey = /^valkey_version:(\S+)/m.exec(info)?.[1];
      return valkey === undefined ? (/^redis_version:(\S+)/m.exec(info)?.[1] ?? 'unknown') : `valkey ${valkey}`;
    },
  };
}

/** One short conversation over a connection of its own, which neither waits nor retries. */
export async function askRedis<T>(url: string, ask: (client: import('ioredis').Redis) => Promise<T>): Promise<T> {
  const { Redis } = await import('ioredis');
  const client = new Redis(url, {
    lazyConnect: true,
    connectTimeout: 2000,
    commandTimeout: 5000,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    enableReadyCheck: false,
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await ask(client);
  } finally {
    // Of a connection that is already closed ioredis would keep a timer of two seconds.
    if (client.status !== 'close' && client.status !== 'end') client.disconnect();
  }
}
