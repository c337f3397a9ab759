import { createHash } from 'node:crypto';
import type { RedisClient } from './redis-session.repository.js';

/** A Lua script on one key, sent by its hash, and in full only to a server that does not know it yet. */
class RedisScript {
  private readonly sha: string;

  constructor(private readonly source: string) {
    this.sha = createHash('sha1').update(source).digest('hex');
  }

  async run(client: RedisClient, key: string, args: readonly (string | number | Buffer)[]): Promise<unknown> {
    try {
      return await client.evalsha(this.sha, 1, key, ...args);
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
      return client.eval(this.source, 1, key, ...args);
    }
  }
}

/**
 * Compare and set: `KEYS[1]` becomes `ARGV[2]` for `ARGV[3]` milliseconds if its version is `ARGV[1]`. Value and lifetime
 * change together. 1: done; 0: another version (or another program's value); -1: no such key. Only the first bytes are read.
 */
export const SET_IF_VERSION = new RedisScript(`
local head = redis.call('GETRANGE', KEYS[1], 0, 20)
if head == '' then return -1 end
if string.match(head, '^(%d+):') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
`);
