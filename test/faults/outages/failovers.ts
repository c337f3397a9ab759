import { Redis } from 'ioredis';
import { setTimeout as sleep } from 'node:timers/promises';
import { startRedis, startRedisCluster, TcpProxy } from '../../servers/index.js';
import type { Store } from '../support/stores.js';
import type { Fault } from './faults.js';

export interface Failover {
  readonly store: Store;
  readonly fault: Fault;
}

/**
 * A primary dies and its replica takes over, behind an address that moves along, as a managed Redis does it. Replication is
 * asynchronous: what the primary acknowledged last may be lost.
 */
export async function primaryAndReplica(): Promise<Failover> {
  const primary = await startRedis({ replicas: 1, appendOnly: true });
  const replica = primary.replicas[0]!;
  let target = primary.port;
  const address = await TcpProxy.start(() => target);
  return {
    store: {
      durable: false,
      session: () => ({ type: 'redis', redis: { url: `redis://127.0.0.1:${address.port}` } }),
      stop: async () => {
        await address.stop();
        await primary.stop();
      },
    },
    fault: {
      name: 'primary dies, replica takes over',
      endsStore: true,
      happen: async () => {
        await primary.kill();
        await sleep(500);
        const client = new Redis(replica.url);
        await client.replicaof('NO', 'ONE');
        client.disconnect();
        target = replica.port;
        address.cut();
      },
    },
  };
}

/** A master of a Redis Cluster dies and its replica is elected. */
export async function clusterFailover(): Promise<Failover> {
  const cluster = await startRedisCluster({ replicasPerMaster: 1, appendOnly: true });
  const nodes = cluster.nodes.map(({ host, port }) => ({ host, port }));
  return {
    store: {
      durable: false,
      session: () => ({ type: 'redis', redis: { nodes } }),
      stop: () => cluster.stop(),
    },
    fault: {
      name: 'a master dies, its replica is elected',
      endsStore: true,
      happen: async () => {
        await cluster.masters[0]!.kill();
      },
    },
  };
}
