/** Stands in for the types of memcache-client where it is not installed, as `ioredis.absent.ts` does for ioredis. */
export type MemcacheClient = object;
