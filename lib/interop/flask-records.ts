import { createHash } from 'node:crypto';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { UnreadableRecordError } from '../errors.js';
import { serversOf } from '../repositories/memcached/memcached.options.js';
import { RedisConnection } from '../repositories/redis/redis.connection.js';
import type { RedisSessionOptions } from '../repositories/redis/redis.options.js';
import { MAX_FLASK_RECORD } from './flask-record.js';
import { askMemcached } from './memcached.question.js';

/** A record of Flask-Session, as it stands in its store. */
export interface FlaskRecord {
  readonly bytes: Uint8Array;
  /** Milliseconds that the store keeps it, where it tells. */
  readonly remaining?: number | undefined;
}

/** Where the records of Flask-Session are. Implement it for a store that is not among those of `flaskSessions`. */
export interface FlaskRecords {
  /** @param key with its prefix, as in `session:8f14e45f-…`. @returns undefined where there is no such record. */
  read(key: string): Promise<FlaskRecord | undefined>;
  delete(key: string): Promise<void>;
  /** @param timeout milliseconds that an operation may take. */
  open?(timeout: number): Promise<void>;
  close?(): Promise<void>;
}

/** `SESSION_TYPE = 'redis'`. */
export class FlaskRedisRecords implements FlaskRecords {
  private connection: RedisConnection | undefined;

  constructor(private readonly options: RedisSessionOptions) {}

  async open(timeout: number): Promise<void> {
    this.connection = await RedisConnection.open(this.options, timeout);
  }

  async read(key: string): Promise<FlaskRecord | undefined> {
    return this.connection?.run(async (client) => {
      const [bytes, remaining] = await Promise.all([client.getBuffer(key), client.pttl(key)]);
      return bytes === null ? undefined : { bytes, remaining: remaining < 0 ? undefined : remaining };
    });
  }

  async delete(key: string): Promise<void> {
    await this.connection?.run((client) => client.del(key));
  }

  async close(): Promise<void> {
    await this.connection?.close();
  }
}

/** `SESSION_TYPE = 'filesystem'`: the files of cachelib's `FileSystemCache`. */
export class FlaskFileRecords implements FlaskRecords {
  constructor(private readonly dir: string) {}

  async read(key: string): Promise<FlaskRecord | undefined> {
    const content = await readUpTo(this.path(key), MAX_FLASK_RECORD + HEADER);
    if (content === undefined) return undefined;
    if (content.length < HEADER) throw new UnreadableRecordError('it is no file of cachelib');
    // Seconds since the epoch, as the machine of the file wrote them; 0 is for ever.
    const expiry = content.readUInt32LE() * 1000;
    if (expiry !== 0 && expiry < Date.now()) return undefined;
    return { bytes: content.subarray(HEADER), remaining: expiry === 0 ? undefined : expiry - Date.now() };
  }

  async delete(key: string): Promise<void> {
    await rm(this.path(key), { force: true });
  }

  private path(key: string): string {
    return join(this.dir, createHash('md5').update(key).digest('hex'));
  }
}

/** `SESSION_TYPE = 'memcached'`. Python's clients share keys out in ways of their own, so every server is asked. */
export class FlaskMemcachedRecords implements FlaskRecords {
  private readonly servers: readonly string[];
  private timeout = 2_000;

  constructor(servers: string | readonly string[] | undefined) {
    this.servers = serversOf({ servers: servers ?? [] });
  }

  async open(timeout: number): Promise<void> {
    this.timeout = timeout;
  }

  async read(key: string): Promise<FlaskRecord | undefined> {
    const answers = await Promise.all(this.servers.map((server) => askMemcached(server, `get ${key}`, this.timeout)));
    const bytes = answers.find((answer) => answer !== undefined);
    return bytes && { bytes };
  }

  async delete(key: string): Promise<void> {
    await Promise.all(this.servers.map((server) => askMemcached(server, `delete ${key}`, this.timeout)));
  }
}

/** What stands before the value in a file of cachelib. */
const HEADER = 4;

/** The content of a file, or the beginning of one that is longer, for the reader to find too long. */
async function readUpTo(path: string, length: number): Promise<Buffer | undefined> {
  const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (file === undefined) return undefined;
  try {
    const { size } = await file.stat();
    const buffer = Buffer.alloc(Math.min(size, length + 1));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
