import { createHash } from 'node:crypto';
import type { RedisConnection } from './redis.connection.js';
import { TAG_LENGTH } from './redis.value.js';

/** A Lua script on one key, sent by its hash, and in full only to a server that does not know it yet. */
class RedisScript {
  private readonly sha: string;

  constructor(private readonly source: string) {
    this.sha = createHash('sha1').update(source).digest('hex');
  }

  run(connection: RedisConnection, key: string, args: readonly (string | number | Buffer)[]): Promise<unknown> {
    const answer = connection.run((client) => client.evalsha(this.sha, 1, key, ...args));
    return answer.catch((error: unknown) => {
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
      return connection.run((client) => client.eval(this.source, 1, key, ...args));
    });
  }
}

/**
 * Compare and set: `KEYS[1]` becomes `ARGV[2]` for `ARGV[3]` milliseconds if its version is `ARGV[1]`. Value and lifetime
 * change together. Only the first bytes are read. Returns 1 when done, 0 for another version (or another program's value), -1 for
 * no such key; in place of 1 the tag of the session's principal, where that was another one than `ARGV[4]`.
 */
export const SET_IF_VERSION = new RedisScript(`
local version = #ARGV[1]
local head = redis.call('GETRANGE', KEYS[1], 0, version + ${TAG_LENGTH})
local after = string.sub(head, version + 1, version + 1)
if string.sub(head, 1, version) == ARGV[1] and (after == ':' or after == '@') then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  local tag = string.sub(head, version + 2)
  if after == '@' and tag ~= ARGV[4] then return tag end
  return 1
end
if head == '' then return -1 end
return 0
`);

/**
 * Deletes `KEYS[1]`, only if its version is `ARGV[1]` where that is given. Compares and deletes, no more: both are allowed to a
 * server that has reached its `maxmemory`. Returns the first `ARGV[2]` bytes of what was there; nil where nothing was deleted.
 */
export const DELETE = new RedisScript(`
local head = redis.pcall('GETRANGE', KEYS[1], 0, ARGV[2] - 1)
if type(head) ~= 'string' then head = '' end
local base = ARGV[1]
if base ~= '' and string.sub(head, 1, #base + 1) ~= base .. ':' and string.sub(head, 1, #base + 1) ~= base .. '@' then
  return false
end
if redis.call('DEL', KEYS[1]) == 0 then return false end
return head
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
