import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from './client.js';

const CLIENTS = 32;
/** A store that does not come back within this many milliseconds has not recovered. */
const RECOVERY = 30_000;

export interface Audit {
  readonly acknowledged: number;
  readonly failed: number;
  readonly found: number;
  readonly lost: number;
  /** Reads in between that missed what had been acknowledged before. */
  readonly wrongReads: number;
  /** Sessions that were logged out of, as the server said, and those of them that are there again. */
  readonly ended: number;
  readonly revived: number;
  /** What requests were answered that began when all had to be served again. */
  readonly unserved: readonly string[];
  readonly longest: number;
}

/** Clients that write and read at the same time. */
export class Crowd {
  private readonly clients: Client[];
  private running: Promise<unknown> = Promise.resolve();
  private isOver = false;

  constructor(urls: readonly string[]) {
    this.clients = Array.from({ length: CLIENTS }, (_unused, index) => {
      const shift = index % urls.length;
      return new Client(`c${index}`, [...urls.slice(shift), ...urls.slice(0, shift)]);
    });
  }

  start(): void {
    this.isOver = false;
    this.running = Promise.all(this.clients.map((client) => client.run(() => this.isOver)));
  }

  /** From so many milliseconds on, every request must be served. */
  mustBeServedIn(milliseconds: number): void {
    for (const client of this.clients) client.mustBeServedFrom = performance.now() + milliseconds;
  }

  /** Log-outs that were acknowledged so far. */
  get ended(): number {
    return sum(this.clients.map(({ ended }) => ended.length));
  }

  async stop(): Promise<void> {
    this.isOver = true;
    await this.running;
    for (const client of this.clients) client.disconnect();
  }

  /** Milliseconds until every client had a success, counted from now. */
  async recovery(): Promise<number> {
    const begin = performance.now();
    while (this.clients.some(({ lastSuccess }) => lastSuccess < begin)) {
      if (performance.now() - begin > RECOVERY) throw new Error(`not all clients were served again within ${RECOVERY} ms`);
      await sleep(10);
    }
    return performance.now() - begin;
  }

  async audit(): Promise<Audit> {
    const results = await Promise.all(this.clients.map((client) => client.audit()));
    return {
      acknowledged: sum(this.clients.map(({ ledger }) => ledger.acknowledged)),
      failed: sum(this.clients.map(({ ledger }) => ledger.failed)),
      found: sum(results.map(({ found }) => found)),
      lost: sum(results.map(({ lost }) => lost)),
      wrongReads: sum(this.clients.map(({ wrong }) => wrong.length)),
      ended: this.ended,
      revived: sum(results.map(({ revived }) => revived)),
      unserved: this.clients.flatMap(({ unserved }) => unserved),
      longest: Math.max(...this.clients.map(({ longest }) => longest)),
    };
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}
