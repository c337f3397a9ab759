import type { DataSourceOptions } from 'typeorm';
import type { ServerSessionOptions } from '../../../lib/index.js';

/** Milliseconds; the pages of the back ends advise a few seconds. */
const SHORT = 2_000;

/** The same sessions by a client that the application has made itself, as the pages of the back ends advise. */
export async function withClientOfApplication(options: ServerSessionOptions): Promise<ServerSessionOptions> {
  const { redis, memcached, mongodb, typeorm } = options;
  if (redis !== undefined && 'url' in redis && redis.url !== undefined) {
    const { Redis } = await import('ioredis');
    const client = new Redis(redis.url);
    client.on('error', () => undefined);
    return { ...options, redis: { client } };
  }
  if (memcached !== undefined && 'servers' in memcached) {
    const { MemcacheClient } = await import('memcache-client');
    return { ...options, memcached: { client: new MemcacheClient({ server: String(memcached.servers) }) } };
  }
  if (mongodb?.uri !== undefined) {
    const { default: mongoose } = await import('mongoose');
    const { uri, db } = mongodb;
    const connection = mongoose.createConnection(uri, {
      ...(db === undefined ? {} : { dbName: db }),
      heartbeatFrequencyMS: SHORT,
      serverSelectionTimeoutMS: SHORT,
      connectTimeoutMS: SHORT,
    });
    return { ...options, mongodb: { connection: await connection.asPromise() } };
  }
  if (typeorm !== undefined) {
    const { DataSource } = await import('typeorm');
    const connectTimeout = typeorm.type === 'postgres' ? { connectTimeoutMS: SHORT } : { connectTimeout: SHORT };
    const source = new DataSource({ ...typeorm, ...connectTimeout } as unknown as DataSourceOptions);
    return { ...options, typeorm: { dataSource: await source.initialize() } };
  }
  throw new Error(`${options.type} has no client`);
}
