import type { Redis } from 'ioredis';

/** The commands of the observer itself, and of clients that connect. */
const OWN = ['info', 'config|resetstat', 'config', 'ping', 'client|setinfo', 'hello'];

/** What a Redis server does for an operation, by its own count; the calls of scripts are counted by the server like any other. */
export class CommandCounter {
  constructor(private readonly redis: Redis) {}

  async of(operation: () => Promise<unknown>): Promise<Record<string, number>> {
    await this.redis.config('RESETSTAT');
    await operation();
    const info = await this.redis.info('commandstats');
    const counts = Array.from(info.matchAll(/cmdstat_([\w|]+):calls=(\d+)/g), ([, name = '', calls]) => [name, Number(calls)] as const);
    return Object.fromEntries(counts.filter(([name]) => !OWN.includes(name)));
  }
}
