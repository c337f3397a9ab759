import { pauseFor } from './pause-for.js';
import { askRedis, type RedisOptions, redisRecipe } from './redis-recipe.js';
import { startServer } from './start-server.js';
import type { TestServer } from './test-server.js';

export interface SingleRedisOptions extends RedisOptions {
  /** How many replicas follow it; none by default. */
  readonly replicas?: number;
}

export interface RedisTestServer extends TestServer {
  readonly replicas: TestServer[];
}

/** A single Redis, with read-only replicas where asked for. `stop()` stops the replicas too. */
export async function startRedis(options: SingleRedisOptions = {}): Promise<RedisTestServer> {
  const { replicas: count = 0, ...rest } = options;
  // The primary answers a new replica at once instead of waiting for more of them.
  const roleArgs = count > 0 ? ['--repl-diskless-sync-delay', '0'] : [];
  const primary = await startServer(redisRecipe({ ...rest, roleArgs, hostNetwork: count > 0 }), {
    alwaysOwn: count > 0,
    needsOwn: { appendOnly: rest.appendOnly, args: rest.args },
  });
  const replicas: TestServer[] = [];
  const stopPrimary = primary.stop.bind(primary);
  const stop = async (): Promise<void> => {
    await Promise.all([...replicas.map((replica) => replica.stop()), stopPrimary()]);
  };
  try {
    for (let index = 0; index < count; index += 1) {
      replicas.push(await startReplica(primary, rest));
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return Object.assign(primary, { replicas, stop });
}

async function startReplica(primary: TestServer, options: RedisOptions): Promise<TestServer> {
  const roleArgs = ['--replicaof', primary.host, String(primary.port)];
  const replica = await startServer(redisRecipe({ ...options, roleArgs, hostNetwork: true }), {
    alwaysOwn: true,
  });
  const deadline = Date.now() + 30_000;
  while (!(await isInStep(replica))) {
    if (Date.now() > deadline) {
      await replica.stop();
      throw new Error(`the replica on port ${replica.port} did not find its primary within 30 s`);
    }
    await pauseFor(25);
  }
  return replica;
}

async function isInStep(replica: TestServer): Promise<boolean> {
  const info = await askRedis(replica.url, (client) => client.info('replication'));
  return info.includes('master_link_status:up');
}
