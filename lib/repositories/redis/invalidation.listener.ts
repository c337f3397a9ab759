import type { Redis } from 'ioredis';
import type { NearCache } from './near-cache.js';

/** The channel on which the server tells RESP2 clients what has changed. */
const CHANNEL = '__redis__:invalidate';
/** How often the connection is tried, in milliseconds; a server that does not answer until the next time is taken for lost. */
const HEARTBEAT = 1000;

/**
 * Hears from the server of every change of a key with the prefix, through a connection of its own, and forgets it in the cache.
 * This is Redis' client-side caching (https://redis.io/docs/latest/develop/reference/client-side-caching/) in broadcasting mode:
 * the server remembers nothing of who read what, and the connection that reads may be any.
 */
export class InvalidationListener {
  private readonly connection: Redis;
  private readonly heartbeat: NodeJS.Timeout;
  private awaitsPong = false;

  constructor(
    client: Redis,
    private readonly prefix: string,
    private readonly cache: NearCache,
  ) {
    this.connection = client.duplicate({
      autoResubscribe: false,
      enableReadyCheck: true,
      lazyConnect: false,
      maxRetriesPerRequest: null,
      retryStrategy: (times) => Math.min(50 * times, 1000),
    });
    // The main connection reports what is wrong with the server.
    this.connection.on('error', () => undefined);
    this.connection.on('ready', () => void this.listen().catch(() => this.connection.disconnect(true)));
    this.connection.on('close', () => this.lose());
    // Not 'message': it would make one text of several keys.
    this.connection.on('messageBuffer', (_channel, keys: unknown) => this.forget(keys));
    this.heartbeat = setInterval(() => this.beat(), HEARTBEAT).unref();
  }

  close(): void {
    clearInterval(this.heartbeat);
    this.cache.starve();
    this.connection.disconnect();
  }

  private async listen(): Promise<void> {
    const id = await this.connection.client('ID');
    await this.connection.call('CLIENT', 'TRACKING', 'ON', 'REDIRECT', String(id), 'BCAST', 'PREFIX', this.prefix);
    await this.connection.subscribe(CHANNEL);
    this.cache.feed();
  }

  /** @param keys that changed; none are named when all did, as in FLUSHALL. */
  private forget(keys: unknown): void {
    if (!Array.isArray(keys)) {
      this.cache.starve();
      this.cache.feed();
      return;
    }
    for (const key of keys.map(String)) if (key.startsWith(this.prefix)) this.cache.forget(key.slice(this.prefix.length));
  }

  private beat(): void {
    if (this.connection.status !== 'ready') return;
    if (this.awaitsPong) {
      this.lose();
      this.connection.disconnect(true);
      return;
    }
    this.awaitsPong = true;
    this.connection.ping().then(
      () => (this.awaitsPong = false),
      () => undefined,
    );
  }

  private lose(): void {
    this.awaitsPong = false;
    this.cache.starve();
  }
}
