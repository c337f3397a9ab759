export { type MariaDbOptions, startMariaDb } from './mariadb.js';
export { type MemcachedOptions, type MemcachedTestGroup, startMemcached, startMemcachedNodes } from './memcached.js';
export { type MongoOptions, startMongo } from './mongo.js';
export { type PostgresOptions, startPostgres } from './postgres.js';
export { type RedisClusterOptions, type RedisTestCluster, startRedisCluster } from './redis-cluster.js';
export { type RedisTestServer, type SingleRedisOptions, startRedis } from './redis.js';
export { startRedisSentinel } from './redis-sentinel.js';
export { type ProxyTarget, TcpProxy } from './tcp-proxy.js';
export type { ServerGroup, ServerKind, ServerSource, TestServer } from './test-server.js';
