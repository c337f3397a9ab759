import type { Cluster, ClusterNode, ClusterOptions, Redis, RedisOptions } from '#peers/ioredis';
import type { OptionReader } from '../../options/option-reader.js';

/** Which Redis: a client of yours, a URL, the nodes of a cluster, or ioredis' own options. */
export type RedisSessionOptions =
  | {
      /** An ioredis client, single or Cluster. It stays yours: nothing here closes it. */
      client: Redis | Cluster;
    }
  | ({
      /** As in `redis://user:password@host:6379/0`; `rediss:` for TLS. */
      url: string;
    } & RedisOptions)
  | ({
      /** Some nodes of a Redis Cluster. */
      nodes: ClusterNode[];
    } & ClusterOptions)
  | RedisOptions;

export function checkRedisOptions(read: OptionReader): void {
  read.check('client', undefined, 'an ioredis client', isRedisClient);
  read.check('url', undefined, 'a URL as in redis://127.0.0.1:6379', isRedisUrl);
  read.check('nodes', undefined, 'an array of cluster nodes', (value) => Array.isArray(value) && value.length > 0);
}

function isRedisClient(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'status' in value && 'getBuffer' in value;
}

function isRedisUrl(value: unknown): boolean {
  return typeof value === 'string' && URL.canParse(value) && /^rediss?:$/.test(new URL(value).protocol);
}
