/** @ts-ignore In an application without ioredis these types are `any`, so that its own types can still be checked. */
import type { Cluster, ClusterNode, ClusterOptions, Redis, RedisOptions } from 'ioredis';
import type { OptionReader } from '../../common/option-reader.js';
import type { BackEnd } from '../repository.factory.js';
import type { NearCacheBounds } from './near-cache.js';

/** Sessions kept in the process, and forgotten as soon as the server says that they have changed. */
export interface RedisNearCacheOptions {
  /**
   * Sessions that are kept; the longest unused go first.
   * @default 10000
   */
  maxEntries?: number;
  /**
   * Bytes that these sessions may take together; the longest unused go first.
   * @default 33554432 (32 MiB)
   */
  maxBytes?: number;
  /**
   * How long a session is served without asking the server, at the most: the bound on what a lost message can do.
   * @default '30s'
   */
  maxAge?: number | string;
}

/** Which Redis: a client of yours, a URL, the nodes of a cluster, or ioredis' own options. */
export type RedisSessionOptions = {
  /** Off unless given; `{}` for its defaults. Needs Redis 6 or later, and a single node: not a Cluster. */
  nearCache?: RedisNearCacheOptions;
} & RedisTarget;

type RedisTarget =
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

export const backEnd: BackEnd<RedisSessionOptions> = {
  check: checkRedisOptions,
  create: async ({ options }) => (await import('./redis-session.repository.js')).RedisSessionRepository.create(options),
};

function checkRedisOptions(read: OptionReader): void {
  read.check('client', undefined, 'an ioredis client', isRedisClient);
  read.check('url', undefined, 'a URL as in redis://127.0.0.1:6379', isRedisUrl);
  const nodes = read.check('nodes', undefined, 'an array of cluster nodes', (value) => Array.isArray(value) && value.length > 0);
  if (read.raw('nearCache') === undefined) return;
  if (nodes !== undefined || isCluster(read.raw('client'))) {
    read.fault('nearCache', {}, 'nothing, because each node of a Cluster tells of its own keys only');
  }
  resolveNearCache(read.group('nearCache'));
}

/** The bounds of the near cache, with their defaults. */
export function resolveNearCache(read: OptionReader): NearCacheBounds {
  const bounds = {
    maxEntries: read.integer('maxEntries', 10_000, 1),
    maxBytes: read.integer('maxBytes', 32 * 1024 * 1024, 1),
    maxAge: read.duration('maxAge', 30_000),
  };
  read.rejectUnknown();
  return bounds;
}

function isCluster(client: unknown): boolean {
  return typeof client === 'object' && client !== null && 'isCluster' in client && client.isCluster === true;
}

function isRedisClient(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'status' in value && 'getBuffer' in value;
}

function isRedisUrl(value: unknown): boolean {
  return typeof value === 'string' && /^rediss?:\/\//i.test(value) && URL.canParse(value);
}
