import { Redis } from 'ioredis';
import { BELOW } from './results.js';
import { openStore } from './stores.js';
import { fillPools, type Load, measureScenario, type Row } from './measure-group.js';
import { contendersOf, type Group, type Pace } from './plan.js';
import { ContenderProcess } from './processes/contender-process.js';
import type { ProxyTask } from './processes/proxy.main.js';
import { ServiceProcess } from './processes/service-process.js';
import { type StoredBytes, StoreTraffic, type Traffic } from './store-traffic.js';

export interface GroupResults {
  readonly rows: Row[];
  readonly traffic: Traffic[];
  readonly stored: StoredBytes[];
  /** Name and version of the server. */
  readonly server: readonly [name: string, version: string] | undefined;
  /** Milliseconds that the proxy adds to a round trip. */
  readonly addedLatency: number | undefined;
}

/** Runs the scenarios of a group on a store that is started for it. */
export async function runGroup(group: Group, load: Load, pace: Pace, onRow: (row: Row) => void): Promise<GroupResults> {
  const store = await openStore(group.store);
  const stops: (() => Promise<unknown>)[] = [store.close];
  try {
    let { location } = store;
    let addedLatency: number | undefined;
    if (group.delay > 0 && store.server !== undefined) {
      const { host, port } = store.server;
      const task: ProxyTask = { host, port, delay: group.delay };
      const proxy = await ServiceProcess.start<{ port: number }, object, never>('processes/proxy.main.js', task);
      stops.unshift(() => proxy.stop());
      location = `redis://${host}:${proxy.hello.port}`;
      addedLatency = (await roundTrip(location)) - (await roundTrip(store.location));
    }
    const names = [...new Set(group.scenarios.flatMap((scenario) => contendersOf(group, scenario)))].sort(belowFirst);
    const contenders = await Promise.all(
      names.map(async (contender) => {
        const process = await ContenderProcess.start({ contender, adapter: group.adapter, store: group.store, location });
        stops.unshift(() => process.stop());
        return process;
      }),
    );
    const counted = group.store === 'redis' && group.delay === 0 ? await countTraffic(store.location, contenders, load) : NO_TRAFFIC;
    await fillPools(group, contenders, load, pace);
    const rows: Row[] = [];
    for (const scenario of group.scenarios) {
      const row = await measureScenario(group, scenario, contenders, load, pace);
      rows.push(row);
      onRow(row);
    }
    const { server } = store;
    return { rows, ...counted, addedLatency, server: server && [group.store, `${server.version} (${server.source})`] };
  } finally {
    for (const stop of stops) await stop();
  }
}

function belowFirst(a: string, b: string): number {
  const rank = (name: string): number => (BELOW.includes(name) ? 0 : 1);
  return rank(a) - rank(b);
}

const NO_TRAFFIC: { traffic: Traffic[]; stored: StoredBytes[] } = { traffic: [], stored: [] };

async function countTraffic(url: string, contenders: readonly ContenderProcess[], load: Load): Promise<typeof NO_TRAFFIC> {
  const counter = new StoreTraffic(url);
  try {
    const counted: typeof NO_TRAFFIC = { traffic: [], stored: [] };
    for (const contender of contenders) {
      if (contender.name === 'none') continue;
      counted.traffic.push(...(await counter.count(contender, load)));
      counted.stored.push(...(await counter.weigh(contender, load)));
    }
    return counted;
  } finally {
    counter.close();
  }
}

/** The median time of a command, in milliseconds. */
async function roundTrip(url: string): Promise<number> {
  const redis = new Redis(url);
  const times: number[] = [];
  for (let sample = 0; sample < 101; sample++) {
    const start = performance.now();
    await redis.ping();
    times.push(performance.now() - start);
  }
  redis.disconnect();
  return times.sort((a, b) => a - b)[50] ?? NaN;
}
