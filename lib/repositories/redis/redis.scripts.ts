import { createHash } from 'node:crypto';
import type { RedisClient } from './redis-session.repository.js';

/** A Lua script on one key, sent by its hash, and in full only to a server that does not know it yet. */
class RedisScript {
  private readonly sha: string;

  constructor(private readonly source: string) {
    this.sha = createHash('sha1').update(source).digest('hex');
  }

  run(client: RedisClient, key: string, args: readonly (string | number | Buffer)[]): Promise<unknown> {
    return client.evalsha(this.sha, 1, key, ...args).catch((error: unknown) => {
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
      return client.eval(this.source, 1, key, ...args);
    });
  }
}

/**
 * Compare and set: `KEYS[1]` becomes `ARGV[2]` for `ARGV[3]` milliseconds if its version is `ARGV[1]`. Value and lifetime
 * change together. 1: done; 0: another version (or another program's value); -1: no such key. Only the first bytes are read.
 */
export const SET_IF_VERSION = new RedisScript(`
local head = redis.call('GETRANGE', KEYS[1], 0, #ARGV[1])
if head == ARGV[1] .. ':' or head == ARGV[1] .. '@' then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  return 1
end
if head == '' then return -1 end
return 0
`);

/**
 * Notes in the sorted set `KEYS[1]` that the session `ARGV[1]` lives for another `ARGV[2]` milliseconds, by the clock of the
 * server. The set itself lives `ARGV[3]` milliseconds longer than its last session, and forgets those that ended so long ago.
 */
export const ADD_TO_INDEX = new RedisScript(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ttl, margin = tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - margin))
redis.call('ZADD', KEYS[1], 'GT', string.format('%.0f', now + ttl), ARGV[1])
if redis.call('PTTL', KEYS[1]) < ttl + margin then
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', ttl + margin))
end
return 1
`);

/** Removes members of the sorted set `KEYS[1]` that still have the score that goes with them. `ARGV`: member, score, and so on. */
export const REMOVE_FROM_INDEX = new RedisScript(`
local removed = 0
for i = 1, #ARGV, 2 do
  if redis.call('ZSCORE', KEYS[1], ARGV[i]) == ARGV[i + 1] then
    removed = removed + redis.call('ZREM', KEYS[1], ARGV[i])
  end
end
return removed
`);
