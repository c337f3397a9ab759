import { Redis } from 'ioredis';
import { setTimeout as sleep } from 'node:timers/promises';
import { startRedis, TcpProxy } from '../../servers/index.js';
import type { Failover } from './failovers.js';
import type { Fault } from './faults.js';

/** What can go wrong with a single Redis beside what can with any server. */
export const REDIS_FAULTS: readonly Fault[] = [
  {
    name: 'connections half-open (forgotten by a NAT)',
    isProxied: true,
    happen: async ({ proxy }, milliseconds) => {
      const end = Date.now() + milliseconds;
      while (Date.now() < end) {
        proxy!.forget();
        await sleep(3_000);
      }
    },
  },
  {
    name: 'hung for 25 s',
    happen: async ({ store }) => {
      await store.server!.pause();
      await sleep(25_000);
      await store.server!.resume();
    },
  },
  {
    name: 'full (noeviction)',
    happen: async ({ store }, milliseconds) => {
      const client = new Redis(store.server!.url);
      await client.config('SET', 'maxmemory-policy', 'noeviction', 'maxmemory', '1mb');
      await sleep(Math.min(milliseconds, 5_000));
      await client.config('SET', 'maxmemory', '0');
      client.disconnect();
    },
  },
];

/** A primary becomes a replica, and stays at the other end of the connections that are open. Its address leads to the new one. */
export async function demotedPrimary(): Promise<Failover> {
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
      name: 'primary is demoted (READONLY)',
      endsStore: true,
      happen: async () => {
        const [former, next] = [new Redis(primary.url), new Redis(replica.url)];
        await next.replicaof('NO', 'ONE');
        await former.replicaof(replica.host, replica.port);
        target = replica.port;
        former.disconnect();
        next.disconnect();
      },
    },
  };
}
