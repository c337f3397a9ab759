import type { Redis, RedisOptions } from 'ioredis';
import { OutageLog } from '../../common/outage-log.js';
import { reasonOf } from '../../common/redact.js';
import type { NearCache } from './near-cache.js';

/** The channel on which the server tells RESP2 clients what has changed. */
const CHANNEL = '__redis__:invalidate';
/** How often the connection is tried, in milliseconds; a server that does not answer until the next time is taken for lost. */
const HEARTBEAT = 1000;
/** Heartbeats for which a new connection may be on its way. */
const MAX_CONNECTING = 5;
/** Milliseconds until the server is asked again to tell of changes after it refused; doubled each time. */
const [FIRST_RETRY, LAST_RETRY] = [1000, 60_000];

/**
 * Hears from the server of every change of a key with the prefix, through a connection of its own, and forgets it in the cache.
 * This is Redis' client-side caching (https://redis.io/docs/latest/develop/reference/client-side-caching/) in broadcasting mode:
 * the server remembers nothing of who read what, and the connection that reads may be any.
 */
export class InvalidationListener {
  private readonly connection: Redis;
  private readonly heartbeat: NodeJS.Timeout;
  private readonly outage = new OutageLog('The near cache of Redis');
  private awaitsPong = false;
  private connecting = 0;
  private retry: NodeJS.Timeout | undefined;
  private retryDelay = FIRST_RETRY;

  /** @param prefix of the keys as the server knows them: with what the client puts before them. */
  constructor(
    client: Redis,
    private readonly prefix: string,
    private readonly cache: NearCache,
  ) {
    const options: RedisOptions & { protocol: 2; replyMapping: 'legacy' } = {
      // With RESP3, which ioredis 6 prefers, the messages would not come through the channel.
      protocol: 2,
      replyMapping: 'legacy',
      keyPrefix: '',
      autoResubscribe: false,
      autoResendUnfulfilledCommands: false,
      enableReadyCheck: true,
      lazyConnect: false,
      maxRetriesPerRequest: 0,
      disconnectTimeout: 100,
      retryStrategy: (times) => Math.min(50 * times, 1000),
    };
    this.connection = client.duplicate(options);
    // The main connection reports what is wrong with the server.
    this.connection.on('error', () => undefined);
    this.connection.on('ready', () => void this.listen());
    this.connection.on('close', () => this.lose());
    // Not 'message': it would make one string of several keys.
    this.connection.on('messageBuffer', (_channel, keys: unknown) => this.forget(keys));
    this.heartbeat = setInterval(() => this.beat(), HEARTBEAT).unref();
  }

  close(): void {
    clearInterval(this.heartbeat);
    this.lose();
    this.connection.disconnect();
  }

  private async listen(): Promise<void> {
    try {
      const id = await this.connection.client('ID');
      await this.connection.call('CLIENT', 'TRACKING', 'ON', 'REDIRECT', String(id), 'BCAST', 'PREFIX', this.prefix);
      await this.connection.subscribe(CHANNEL);
    } catch (error) {
      // A lost connection is made anew, and then this is tried again.
      if (this.connection.status === 'ready') this.refused(error);
      return;
    }
    this.retryDelay = FIRST_RETRY;
    this.outage.recovered();
    this.cache.enable();
  }

  /** Most often by its rules of access (ACL). Sessions are read from the server meanwhile. */
  private refused(error: unknown): void {
    this.outage.failed(
      `the near cache is off, because Redis does not tell of changes (${reasonOf(error)}); it needs CLIENT ID, CLIENT TRACKING, ` +
        `SUBSCRIBE and the channel ${CHANNEL}`,
    );
    this.retry = setTimeout(() => void this.listen(), this.retryDelay).unref();
    this.retryDelay = Math.min(2 * this.retryDelay, LAST_RETRY);
  }

  /** @param keys that changed; none are named when all did, as in FLUSHALL. */
  private forget(keys: unknown): void {
    if (!Array.isArray(keys)) {
      this.cache.disable();
      this.cache.enable();
      return;
    }
    for (const key of keys.map(String)) if (key.startsWith(this.prefix)) this.cache.forget(key.slice(this.prefix.length));
  }

  private beat(): void {
    const { connection } = this;
    this.connecting = connection.status === 'connecting' || connection.status === 'connect' ? this.connecting + 1 : 0;
    if (this.connecting > MAX_CONNECTING || (connection.status === 'ready' && this.awaitsPong)) {
      this.lose();
      connection.disconnect(true);
    } else if (connection.status === 'ready') {
      this.awaitsPong = true;
      // A refusal is an answer too.
      const answered = (): void => void (this.awaitsPong = false);
      connection.ping().then(answered, answered);
    }
  }

  private lose(): void {
    this.connecting = 0;
    clearTimeout(this.retry);
    this.cache.disable();
  }
}
