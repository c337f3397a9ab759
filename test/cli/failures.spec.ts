import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../servers/free-port.js';
import { startRedis, type TestServer } from '../servers/index.js';
import { CommandLine } from './support/command-line.js';

const LIMIT = 120_000;
const PASSWORD = 'hunter2';

let cli: CommandLine;
let port: number;
let redis: TestServer;
beforeAll(async () => {
  cli = await CommandLine.build();
  redis = await startRedis();
  const client = new Redis(redis.url);
  await client.config('SET', 'requirepass', 'another');
  client.disconnect();
  port = await freePort();
}, LIMIT);
afterAll(async () => {
  await cli.remove();
  await redis.stop();
});

const HANDLE = 'A'.repeat(43);

describe('A store that cannot be reached', () => {
  it.each<[string, string[], () => Record<string, string>, () => string]>([
    [
      'redis',
      ['count'],
      () => ({ SESSION_TYPE: 'redis', SESSION_REDIS: `redis://u:${PASSWORD}@127.0.0.1:${port}` }),
      () => `ECONNREFUSED 127.0.0.1:${port}`,
    ],
    [
      'redis',
      ['count'],
      () => ({ SESSION_TYPE: 'redis', SESSION_REDIS: `redis://:${PASSWORD}@127.0.0.1:${redis.port}` }),
      () => 'WRONGPASS',
    ],
    [
      'mongodb',
      ['count'],
      () => ({ SESSION_TYPE: 'mongodb', SESSION_MONGODB: `mongodb://u:${PASSWORD}@127.0.0.1:${port}` }),
      () => `ECONNREFUSED 127.0.0.1:${port}`,
    ],
    [
      'memcached',
      ['revoke', HANDLE],
      () => ({ SESSION_TYPE: 'memcached', SESSION_MEMCACHED: `127.0.0.1:${port}` }),
      () => `ECONNREFUSED 127.0.0.1:${port}`,
    ],
    [
      'postgres',
      ['count'],
      () => ({ SESSION_TYPE: 'sqlalchemy', SESSION_SQLALCHEMY: `postgresql://u:${PASSWORD}@127.0.0.1:${port}/app` }),
      () => `ECONNREFUSED 127.0.0.1:${port}`,
    ],
    [
      'mysql',
      ['count'],
      () => ({ SESSION_TYPE: 'sqlalchemy', SESSION_SQLALCHEMY: `mysql://u:${PASSWORD}@127.0.0.1:${port}/app` }),
      () => `ECONNREFUSED 127.0.0.1:${port}`,
    ],
  ])(
    '(%s) ends with 1 and says why and where, and not with which password',
    async (_what, args, env, reason) => {
      const { code, stdout, stderr } = await cli.run(args, env());
      expect([code, stdout]).toEqual([1, '']);
      expect(stderr).toContain(reason());
      expect(stderr).not.toContain(PASSWORD);
    },
    LIMIT,
  );
});

describe('A variable that is wrong', () => {
  it.each<[string, string, Record<string, string>]>([
    ['SESSION_REDIS', 'redis', { SESSION_REDIS: `u:${PASSWORD}@127.0.0.1:6379` }],
    ['SESSION_MONGODB', 'mongodb', { SESSION_MONGODB: `u:${PASSWORD}@127.0.0.1:27017/app` }],
    ['SESSION_MEMCACHED', 'memcached', { SESSION_MEMCACHED: `u:${PASSWORD}@127.0.0.1:11211` }],
    ['SESSION_SQLALCHEMY', 'sqlalchemy', { SESSION_SQLALCHEMY: `u:${PASSWORD}@127.0.0.1:5432/app` }],
  ])(
    'ends with 2 and is shown without its password: %s',
    async (variable, type, env) => {
      const { code, stdout, stderr } = await cli.run(['count'], { SESSION_TYPE: type, ...env });
      expect([code, stdout]).toEqual([2, '']);
      expect(stderr).toContain(`'${variable}'`);
      expect(stderr).not.toContain(PASSWORD);
    },
    LIMIT,
  );

  it(
    'may name a folder that does not exist, which is not made',
    async () => {
      const dir = join(cli.folder, 'slip-of-the-pen');
      for (const args of [['count'], ['list'], ['purge']]) {
        const { code, stdout, stderr } = await cli.run(args, { SESSION_TYPE: 'filesystem', SESSION_FILE_DIR: dir });
        expect([code, stdout]).toEqual([2, '']);
        expect(stderr).toContain(`SESSION_FILE_DIR: there is no folder ${dir}`);
      }
      await expect(access(dir)).rejects.toThrow('ENOENT');
    },
    LIMIT,
  );
});
