import type { Cluster, Redis, RedisOptions } from 'ioredis';
import { endOfTurn } from '../end-of-turn.js';
import { loadPackage } from '../../common/load-package.js';
import { OutageLog } from '../../common/outage-log.js';
import { reasonOf } from '../../common/redact.js';
import { withTimeout } from '../../common/with-timeout.js';
import type { RedisSessionOptions } from './redis.options.js';
import { type CommandGroup, UnansweredCommands } from './unanswered-commands.js';

/** The client of either kind. */
export type RedisClient = Redis | Cluster;

type Stream = Redis['stream'];

/** The store's timeout is watched in so many periods. */
const PERIODS = 8;
/** After so many periods without an answer a connection is cut: there is time left to make a new one. */
const OVERDUE = 6;
/** Commands that may be without an answer for longer than a period; further ones wait here instead of in the buffers of the socket. */
const MAX_UNANSWERED = 32;
/** Commands that leave together at the most: the first of them must not wait for long while later requests are looked at. */
const MAX_IN_CORK = 16;
/** Milliseconds from one new connection to the next, where the server is not the primary. */
const PRIMARY_INTERVAL = 1000;
/** Milliseconds without a refused write after which one is logged again. */
const READONLY_SILENCE = 60_000;

/**
 * The client, ours or the application's. A command is only given to a client that is connected and answers. It never waits in the
 * client's offline queue, where it would outlive its request and be carried out later. A connection that does not answer is cut,
 * which ends half-open ones and everything that still waits in them.
 */
export class RedisConnection {
  private readonly outage = new OutageLog('Redis');
  private readonly unanswered = new UnansweredCommands();
  private readonly period: number;
  /** Milliseconds that a command waits for the connection; the rest of the timeout is left for the answer. */
  private readonly patience: number;
  private readonly address: string;
  /** The client where it is no Cluster: the one connection that can be watched and cut itself. */
  private readonly single: Redis | undefined;
  private timer: NodeJS.Timeout | undefined;
  private opening: Opening | undefined;
  private corked: Stream | undefined;
  private inCork = 0;
  private handshake = 0;
  private lastError: string | undefined;
  private lastReadonly = -Infinity;
  private lastPrimarySearch = -Infinity;

  private constructor(
    readonly client: RedisClient,
    private readonly isOurs: boolean,
    private readonly timeout: number,
  ) {
    this.period = Math.max(1, Math.round(timeout / PERIODS));
    this.patience = timeout - Math.min(this.period, 250);
    this.address = addressOf(client);
    this.single = isCluster(client) ? undefined : client;
    if (isOurs) this.reportTrouble();
  }

  /** Begins to connect, and does not wait for it: an application starts without its Redis, and finds it later. */
  static async open({ nearCache: _nearCache, ...options }: RedisSessionOptions = {}, timeout: number): Promise<RedisConnection> {
    if ('client' in options) return new RedisConnection(options.client, false, timeout);
    const { Redis, Cluster } = await loadPackage(() => import('ioredis'), "type 'redis'", 'ioredis');
    const own: RedisOptions = {
      connectTimeout: timeout,
      keepAlive: 30_000,
      // A command that was sent and not answered must not be sent again: it may have been carried out.
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      // A connection that is lost already would keep a process that shuts down alive for two seconds.
      disconnectTimeout: 100,
      retryStrategy: (times) => Math.min(50 * times, Math.max(50, timeout / 4), 1000),
    };
    if ('nodes' in options) {
      const { nodes, ...rest } = options;
      const client = new Cluster(nodes, {
        slotsRefreshTimeout: timeout,
        clusterRetryStrategy: own.retryStrategy,
        ...rest,
        redisOptions: { ...own, ...rest.redisOptions },
      });
      return new RedisConnection(client, true, timeout);
    }
    const single: RedisOptions = { ...own, enableOfflineQueue: false };
    if ('url' in options) {
      const { url, ...rest } = options;
      return new RedisConnection(new Redis(url, { ...single, ...rest }), true, timeout);
    }
    return new RedisConnection(new Redis({ host: '127.0.0.1', port: 6379, ...single, ...options }), true, timeout);
  }

  /** Gives a command to the client, once it is connected. @throws when it is not in time. */
  run<T>(command: (client: RedisClient) => Promise<T>): Promise<T> {
    return this.isOpen ? this.give(command) : this.untilOpen().then(() => this.give(command));
  }

  async close(): Promise<void> {
    clearInterval(this.timer);
    if (!this.isOurs) return;
    const { client, timeout } = this;
    // QUIT to a server that does not answer would be waited for in vain.
    if (!this.isOpen) return client.disconnect();
    await withTimeout(client.quit(), timeout, () => new Error('no answer')).catch(() => client.disconnect());
  }

  /** What the client itself puts before keys, but neither before patterns nor before the prefixes that are tracked. */
  get keyPrefix(): string {
    return String(this.client.options.keyPrefix ?? '');
  }

  private get isOpen(): boolean {
    if (this.client.status !== 'ready' || (this.unanswered.count > MAX_UNANSWERED && this.unanswered.age > 0)) return false;
    // A socket that is closed, of which the client has not been told yet.
    return (this.single?.stream as Stream | undefined)?.writable !== false;
  }

  private give<T>(command: (client: RedisClient) => Promise<T>): Promise<T> {
    if (this.isOurs && this.unanswered.count > 0 && this.single !== undefined) this.cork(this.single.stream);
    const answer = command(this.client);
    const group = this.unanswered.given();
    this.watch();
    answer.then(
      () => this.answered(group),
      (error: unknown) => this.failed(group, error),
    );
    return answer;
  }

  /**
   * Lets the commands of requests that arrive together leave together, at the end of this turn of the event loop: each write to a
   * socket is a system call that wakes the server up. A lone command leaves at once. Not on an application's client.
   */
  private cork(stream: Stream): void {
    if (this.corked === stream && this.inCork++ < MAX_IN_CORK) return;
    this.uncork();
    this.corked = stream;
    this.inCork = 1;
    stream.cork();
    void endOfTurn().then(() => this.uncork());
  }

  private uncork(): void {
    this.corked?.uncork();
    this.corked = undefined;
  }

  private answered(group: CommandGroup): void {
    this.unanswered.answered(group);
    if (this.outage.isOpen && !this.isOurs) this.outage.recovered();
    if (this.opening !== undefined && this.isOpen) this.opening.settle();
  }

  private failed(group: CommandGroup, error: unknown): void {
    this.unanswered.answered(group);
    if (this.single !== undefined && error instanceof Error && /\bREADONLY\b/.test(error.message)) this.findPrimary(this.single);
  }

  private async untilOpen(): Promise<void> {
    const { client } = this;
    if (client.status === 'wait') client.connect().catch(() => undefined);
    if (client.status === 'end') throw closedError();
    this.opening ??= new Opening(client, () => (this.opening = undefined));
    this.watch();
    await withTimeout(this.opening.promise, this.patience, () => this.lateError());
  }

  private lateError(): Error {
    const reason = this.lastError ?? (this.client.status === 'ready' ? 'it does not answer' : `its state is '${this.client.status}'`);
    return new Error(`no connection to Redis at ${this.address} within ${this.patience} ms: ${reason}`);
  }

  /** Runs while there is something to watch. */
  private watch(): void {
    this.timer ??= setInterval(() => this.endPeriod(), this.period).unref();
  }

  private endPeriod(): void {
    const { client, unanswered } = this;
    unanswered.endPeriod();
    if (unanswered.count === 0 && this.opening === undefined) {
      clearInterval(this.timer);
      this.timer = undefined;
    }
    this.handshake = client.status === 'connecting' || client.status === 'connect' ? this.handshake + 1 : 0;
    if (client.status === 'ready') {
      if (unanswered.age >= OVERDUE) this.cut(`no answer within ${OVERDUE * this.period} ms`);
    } else {
      // What an application's client sends again has not been sent yet.
      unanswered.restart();
      if (this.handshake > PERIODS) this.cut(`no answer to a new connection within ${this.timeout} ms`);
    }
  }

  private cut(reason: string): void {
    const { client } = this;
    this.handshake = 0;
    this.unanswered.restart();
    this.outage.failed(`Redis at ${this.address}: ${reason}; the connection is cut`);
    if (!isCluster(client)) return destroy(client);
    for (const node of client.nodes('all')) {
      if (node.status !== 'ready' && node.status !== 'connect') continue;
      const late = new Error('late');
      withTimeout(node.ping(), this.period, () => late).catch((error: unknown) => {
        if (error === late) destroy(node);
      });
    }
  }

  /** A server that refuses to write was demoted. A new connection finds the primary where the address or the sentinels lead to it. */
  private findPrimary(client: Redis): void {
    const now = performance.now();
    if (now - this.lastReadonly > READONLY_SILENCE) {
      new OutageLog('').failed(`Redis at ${this.address} is a read-only replica (READONLY); looking for the primary by a new connection`);
    }
    this.lastReadonly = now;
    if (now - this.lastPrimarySearch < PRIMARY_INTERVAL) return;
    this.lastPrimarySearch = now;
    destroy(client);
  }

  private reportTrouble(): void {
    this.client.on('error', (error: Error & { lastNodeError?: Error }) => {
      this.lastError = reasonOf(error.lastNodeError ?? error);
      this.outage.failed(`Redis at ${this.address}: ${this.lastError}`);
    });
    this.client.on('ready', () => {
      this.lastError = undefined;
      this.outage.recovered();
    });
  }
}

/** What all commands wait for while there is no connection that answers. */
class Opening {
  readonly promise: Promise<void>;
  readonly settle: (error?: Error) => void;

  constructor(client: RedisClient, onSettled: () => void) {
    let settle!: (error?: Error) => void;
    this.promise = new Promise((resolve, reject) => {
      const onReady = (): void => settle();
      const onEnd = (): void => settle(closedError());
      settle = (error) => {
        client.off('ready', onReady).off('end', onEnd);
        onSettled();
        if (error === undefined) resolve();
        else reject(error);
      };
      client.once('ready', onReady).once('end', onEnd);
    });
    this.settle = settle;
  }
}

function closedError(): Error {
  return new Error('the connection to Redis was closed');
}

function isCluster(client: RedisClient): client is Cluster {
  return 'nodes' in client;
}

/** As if the network had cut it. What the socket has not sent yet is not sent any more, where that can be had (not over TLS). */
function destroy({ stream }: Redis): void {
  const socket = stream as Stream | undefined;
  try {
    socket?.resetAndDestroy();
  } catch {
    socket?.destroy();
  }
}

/** For messages. */
function addressOf(client: RedisClient): string {
  if (isCluster(client)) return 'the nodes of the cluster';
  const { path, host, port, sentinels, name } = client.options;
  if (sentinels !== undefined && sentinels !== null) return `'${name}' of the sentinels`;
  // A URL that was given as a host may hold a password.
  return reasonOf(path ?? `${host}:${port}`);
}
