import { checkFilesystemOptions } from '../repositories/filesystem/filesystem.options.js';
import { checkMemcachedOptions } from '../repositories/memcached/memcached.options.js';
import { checkMemoryOptions } from '../repositories/memory/memory.options.js';
import { checkMongodbOptions } from '../repositories/mongodb/mongodb.options.js';
import { checkRedisOptions } from '../repositories/redis/redis.options.js';
import { checkTypeormOptions } from '../repositories/typeorm/typeorm.options.js';
import type { OptionReader } from './option-reader.js';
import type { ResolvedSessionOptions } from './resolved-options.js';
import type { SessionType } from './session-options.js';

/** Each back end checks its own group of options, in its own folder. */
const CHECKS = {
  memory: checkMemoryOptions,
  filesystem: checkFilesystemOptions,
  redis: checkRedisOptions,
  memcached: checkMemcachedOptions,
  mongodb: checkMongodbOptions,
  typeorm: checkTypeormOptions,
} satisfies Partial<Record<SessionType, (read: OptionReader) => void>>;

type BackEnd = keyof typeof CHECKS;

/** Checks the group of every back end that has one, chosen or not: a group left over from another type is still read. */
export function checkBackEnds(read: OptionReader): Pick<ResolvedSessionOptions, BackEnd> {
  const groups: Record<string, unknown> = {};
  for (const name of Object.keys(CHECKS) as BackEnd[]) {
    const group = read.raw(name);
    if (group === undefined) continue;
    CHECKS[name](read.group(name));
    groups[name] = group;
  }
  return groups;
}
