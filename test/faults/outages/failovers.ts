import { Redis } from 'ioredis';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RedisTestServer, startRedis, startRedisCluster, TcpProxy, type TestServer } from '../../servers/index.js';
import { askRedis } from '../../servers/redis-recipe.js';
import { eventually } from '../../support/eventually.js';
import type { Store } from '../support/stores.js';
import type { Fault } from './faults.js';

export interface Failover {
  readonly store: Store;
  readonly fault: Fault;
}

/** A primary, its replica, and the address that sessions are given: it leads to the primary until it is moved. */
interface Replication {
  readonly primary: RedisTestServer;
  readonly replica: TestServer;
  readonly address: TcpProxy;
  /** Lets new connections to the address go to the replica. */
  readonly moveAddress: () => void;
}

/** Sessions on a primary with a replica, behind an address that can move, as a managed Redis has it. */
async function replicated(name: string, happen: (replication: Replication) => Promise<void>): Promise<Failover> {
  const primary = await startRedis({ replicas: 1, appendOnly: true });
  const replica = primary.replicas[0]!;
  let target = primary.port;
  const address = await TcpProxy.start(() => target);
  const moveAddress = (): void => {
    target = replica.port;
  };
  return {
    store: {
      durable: false,
      session: () => ({ type: 'redis', redis: { url: `redis://127.0.0.1:${address.port}` } }),
      stop: async () => {
        await address.stop();
        await primary.stop();
      },
    },
    fault: { name, needs: 'server', endsStore: true, happen: () => happen({ primary, replica, address, moveAddress }) },
  };
}

/** A primary dies and its replica takes over. Replication is asynchronous: what the primary acknowledged last may be lost. */
export function primaryAndReplica(): Promise<Failover> {
  return replicated('primary dies, replica takes over', async ({ primary, replica, address, moveAddress }) => {
    await primary.kill();
    await sleep(500);
    const client = new Redis(replica.url);
    await client.replicaof('NO', 'ONE');
    client.disconnect();
    moveAddress();
    address.cut();
  });
}

/** A primary becomes a replica, and stays at the other end of the connections that are open. */
export function demotedPrimary(): Promise<Failover> {
  return replicated('primary is demoted (READONLY)', async ({ primary, replica, moveAddress }) => {
    const [former, next] = [new Redis(primary.url), new Redis(replica.url)];
    await next.replicaof('NO', 'ONE');
    await former.replicaof(replica.host, replica.port);
    moveAddress();
    former.disconnect();
    next.disconnect();
  });
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
      needs: 'server',
      endsStore: true,
      happen: async () => {
        await cluster.masters[0]!.kill();
        await eventually(async () => {
          const role = await askRedis(cluster.replicas[0]!.url, (client) => client.info('replication'));
          if (!role.includes('role:master')) throw new Error('the replica has not been elected');
        }, 30_000);
      },
    },
  };
}
