import { Redis } from 'ioredis';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Failover, replicated } from './failovers.js';
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
