import { formCluster } from './form-cluster.js';
import { type RedisOptions, redisRecipe } from './redis-recipe.js';
import { startServer } from './start-server.js';
import type { ServerGroup, TestServer } from './test-server.js';

export interface RedisClusterOptions extends RedisOptions {
  /** Three unless told otherwise: fewer cannot agree on a failover. */
  readonly masters?: number;
  readonly replicasPerMaster?: number;
  /** Milliseconds after which a node counts as failed; 2000 unless told otherwise. */
  readonly nodeTimeout?: number;
}

export interface RedisTestCluster extends ServerGroup {
  readonly masters: TestServer[];
  /** Replica number i follows master number i modulo the number of masters. */
  readonly replicas: TestServer[];
}

/**
 * A cluster in real cluster mode. Always of our own: `REDIS_URL` names a single server, and one
 * cannot tell whether it is a cluster that the tests may take apart.
 */
export async function startRedisCluster(options: RedisClusterOptions = {}): Promise<RedisTestCluster> {
  const { masters: masterCount = 3, replicasPerMaster = 0, nodeTimeout = 2000, ...rest } = options;
  const recipe = redisRecipe({
    ...rest,
    kind: 'redis-cluster',
    hostNetwork: true,
    roleArgs: [
      '--cluster-enabled',
      'yes',
      '--cluster-config-file',
      'nodes.conf',
      '--cluster-node-timeout',
      String(nodeTimeout),
      '--repl-diskless-sync-delay',
      '0',
    ],
  });
  const starts = await Promise.allSettled(
    Array.from({ length: masterCount * (1 + replicasPerMaster) }, () => startServer(recipe, { alwaysOwn: true })),
  );
  const nodes = starts.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []));
  const stop = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node.stop()));
  };
  const masters = nodes.slice(0, masterCount);
  const replicas = nodes.slice(masterCount);
  try {
    for (const start of starts) if (start.status === 'rejected') throw start.reason;
    await formCluster(masters, replicas);
  } catch (error) {
    await stop();
    throw error;
  }
  return { kind: 'redis-cluster', nodes, masters, replicas, stop };
}
