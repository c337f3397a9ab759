import { Logger } from '@nestjs/common';
import type { RedisOptions } from 'ioredis';
import { withTimeout } from '../../common/with-timeout.js';
import { loadPackage } from '../../common/load-package.js';
import { CommandBatch } from './command-batch.js';
import type { RedisClient } from './redis-session.repository.js';
import type { RedisSessionOptions } from './redis.options.js';

/**
 * The client, ours or the application's. A command is only ever given to a client that is connected: never to its offline
 * queue, where it would outlive its request and be carried out when nobody waits for it any more.
 */
export class RedisConnection {
  private static readonly logger = new Logger('ServerSession');
  private readonly batch: CommandBatch;
  /** What all wait for while there is no connection. */
  private connected: Promise<void> | undefined;

  private constructor(
    readonly client: RedisClient,
    private readonly isOurs: boolean,
    private readonly timeout: number,
  ) {
    this.batch = new CommandBatch(client);
    if (isOurs) this.reportTrouble();
  }

  /** Begins to connect, and does not wait for it: an application starts without its Redis, and finds it later. */
  static async open({ nearCache: _nearCache, ...options }: RedisSessionOptions = {}, timeout: number): Promise<RedisConnection> {
    if ('client' in options) return new RedisConnection(options.client, false, timeout);
    const { Redis, Cluster } = await loadPackage(() => import('ioredis'), "type 'redis'", 'ioredis');
    const own: RedisOptions = {
      connectTimeout: timeout,
      // A command that was sent and not answered is not sent again: nobody knows whether it was carried out.
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      // A connection that is lost already would keep a process that shuts down alive for two seconds.
      disconnectTimeout: 100,
      retryStrategy: (times) => Math.min(50 * times, 1000),
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
    if ('url' in options) {
      const { url, ...rest } = options;
      return new RedisConnection(new Redis(url, { ...own, ...rest }), true, timeout);
    }
    return new RedisConnection(new Redis({ host: '127.0.0.1', port: 6379, ...own, ...options }), true, timeout);
  }

  /** Gives commands to the client, once it is connected. @throws when it is not within `storeTimeout`. */
  run<T>(commands: (client: RedisClient) => Promise<T>): Promise<T> {
    if (this.client.status !== 'ready') return this.untilReady().then(commands);
    this.batch.open();
    return commands(this.client);
  }

  async close(): Promise<void> {
    if (!this.isOurs) return;
    const { client, timeout } = this;
    // A farewell to a server that is not there, or does not answer, would be waited for in vain.
    if (client.status !== 'ready') return client.disconnect();
    await withTimeout(client.quit(), timeout, () => new Error('no answer')).catch(() => client.disconnect());
  }

  private async untilReady(): Promise<RedisClient> {
    const { client, timeout } = this;
    if (client.status === 'wait') client.connect().catch(() => undefined);
    if (client.status === 'end') throw new Error('the connection to Redis was closed');
    const late = (): Error => new Error(`no connection to Redis within ${timeout} ms (its state is '${client.status}')`);
    // Whoever waits too long gives no command any more, even when the connection is there at last.
    await withTimeout((this.connected ??= this.nextConnected()), timeout, late);
    return client;
  }

  /** Errors are reported elsewhere and followed by a new try. */
  private nextConnected(): Promise<void> {
    const { client } = this;
    return new Promise((resolve, reject) => {
      const settle = (error?: Error): void => {
        this.connected = undefined;
        client.off('ready', onReady).off('end', onEnd);
        if (error === undefined) resolve();
        else reject(error);
      };
      const onReady = (): void => settle();
      const onEnd = (): void => settle(new Error('the connection to Redis was closed'));
      client.once('ready', onReady).once('end', onEnd);
    });
  }

  /** Once for each loss of the connection, not for every try. */
  private reportTrouble(): void {
    let reported = false;
    this.client.on('error', (error: Error) => {
      if (!reported) RedisConnection.logger.error(`[ServerSession] Redis: ${error.message}`);
      reported = true;
    });
    this.client.on('ready', () => {
      if (reported) RedisConnection.logger.log('[ServerSession] Redis is back');
      reported = false;
    });
  }
}
