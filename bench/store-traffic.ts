import { Redis } from 'ioredis';
import type { ContenderProcess } from './processes/contender-process.js';
import type { Load } from './measure-group.js';
import type { Work } from './plan.js';

/** Enough to make what belongs to a connection, not to a request, disappear. */
const REQUESTS = 200;
/** Before it is counted: the first requests of a session may do what later ones need not. */
const FIRST_REQUESTS = 5;
const PAYLOADS = [200, 4 * 1024, 32 * 1024];
/** Our own question, and the heartbeats of connections, which go by the clock. */
const NOT_OF_A_REQUEST = new Set(['info', 'ping']);
const WORKS = ['unused', 'read', 'change'] as const;

/** What one request of a kind means for Redis. */
export interface Traffic {
  readonly contender: string;
  readonly work: Work;
  /** Commands that the contender sent, for each request. */
  readonly commands: number;
  readonly byName: Readonly<Record<string, number>>;
  /** Commands that scripts called inside the server, for each request; they are no round trips. */
  readonly inside: Readonly<Record<string, number>>;
  /** Between contender and server, both directions, for each request. */
  readonly wireBytes: number;
}

/** What one stored session costs. */
export interface StoredBytes {
  readonly contender: string;
  readonly payload: number;
  /** As Redis itself reckons, keys and overhead included (`MEMORY USAGE`). */
  readonly memory: number;
  readonly keys: number;
}

/** Counts by the server's own counters what each contender does there, one request after the other. */
export class StoreTraffic {
  private readonly redis: Redis;

  constructor(url: string) {
    this.redis = new Redis(url);
  }

  /** Of an otherwise idle server; its data are dropped. */
  async count(contender: ContenderProcess, load: Load): Promise<Traffic[]> {
    await this.redis.flushall();
    const pool = `traffic/${contender.name}`;
    const shoot = async (work: Work, requests: number): Promise<void> => {
      const { errors } = await load.ask({ job: 'shoot', port: contender.port, pool, work, connections: 1, until: { requests } });
      if (errors > 0) throw new Error(`${contender.name} failed ${errors} times`);
    };
    await load.ask({ job: 'fill', port: contender.port, pool, sessions: 1, bytes: 200 });
    const traffic: Traffic[] = [];
    for (const work of WORKS) {
      await shoot(work, FIRST_REQUESTS);
      const wireBytes = await this.bytesDuring(() => shoot(work, REQUESTS));
      const { sent, inside } = await this.commandsDuring(() => shoot(work, REQUESTS));
      const byName = perRequest(sent);
      const commands = Object.values(sent).reduce((sum, count) => sum + count, 0) / REQUESTS;
      traffic.push({ contender: contender.name, work, commands, byName, inside: perRequest(inside), wireBytes: wireBytes / REQUESTS });
    }
    return traffic;
  }

  async weigh(contender: ContenderProcess, load: Load): Promise<StoredBytes[]> {
    const weights: StoredBytes[] = [];
    for (const payload of PAYLOADS) {
      await this.redis.flushall();
      await load.ask({ job: 'fill', port: contender.port, pool: 'weighed', sessions: 1, bytes: payload });
      const keys = await this.redis.keys('*');
      let memory = 0;
      for (const key of keys) memory += (await this.redis.memory('USAGE', key)) ?? 0;
      weights.push({ contender: contender.name, payload, memory, keys: keys.length });
    }
    await this.redis.flushall();
    return weights;
  }

  close(): void {
    this.redis.disconnect();
  }

  /** What asking itself costs is measured first and left out. */
  private async bytesDuring(work: () => Promise<void>): Promise<number> {
    const start = await this.totalBytes();
    const between = await this.totalBytes();
    await work();
    const end = await this.totalBytes();
    return end - between - (between - start);
  }

  private async totalBytes(): Promise<number> {
    const info = await this.redis.info('stats');
    return Array.from(info.matchAll(/^total_net_(?:in|out)put_bytes:(\d+)/gm)).reduce((sum, [, bytes]) => sum + Number(bytes), 0);
  }

  /**
   * The server's counters include what scripts call. `MONITOR` shows which commands those were: it gives `lua` as their client.
   */
  private async commandsDuring(work: () => Promise<void>): Promise<{ sent: Record<string, number>; inside: Record<string, number> }> {
    const monitor = await this.redis.monitor();
    const inside: Record<string, number> = {};
    const marker = `end-${performance.now()}`;
    const seenAll = new Promise<void>((resolve) => {
      monitor.on('monitor', (_time: string, [name = '', argument]: string[], source: string) => {
        if (argument === marker) resolve();
        if (source === 'lua') inside[name.toLowerCase()] = (inside[name.toLowerCase()] ?? 0) + 1;
      });
    });
    const before = await this.commandStats();
    await work();
    const after = await this.commandStats();
    await this.redis.echo(marker);
    await seenAll;
    monitor.disconnect();
    const sent: Record<string, number> = {};
    for (const [name, count] of Object.entries(after)) {
      const calls = count - (before[name] ?? 0) - (inside[name] ?? 0);
      if (calls > 0 && !NOT_OF_A_REQUEST.has(name)) sent[name] = calls;
    }
    return { sent, inside };
  }

  private async commandStats(): Promise<Record<string, number>> {
    const info = await this.redis.info('commandstats');
    return Object.fromEntries(Array.from(info.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm), ([, name, calls]) => [name, Number(calls)]));
  }
}

function perRequest(counts: Record<string, number>): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).map(([name, count]) => [name, count / REQUESTS]));
}
