/**
 * Stands in for the types of ioredis where it is not installed (see "imports" in package.json), so that an application that
 * does without it can check the types of this package, too.
 */
export type Redis = object;
export type Cluster = object;
export type RedisOptions = object;
export type ClusterOptions = object;
export type ClusterNode = string | number | object;
