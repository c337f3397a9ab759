import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { Redis } from 'ioredis';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { resolveOptions } from '../../lib/options/resolve-options.js';
import type { RedisSessionOptions } from '../../lib/repositories/redis/redis.options.js';
import { RedisSessionRepository } from '../../lib/repositories/redis/redis-session.repository.js';
import { freePort } from '../servers/free-port.js';
import { type RedisTestServer, startRedis, startRedisSentinel, type TestServer } from '../servers/index.js';
import { itUnless } from '../servers/it-unless.js';
import { eventually } from '../support/eventually.js';

const LONG = 600_000;
const STARTUP = 60_000;
const USER = 'sessions';
const PASSWORD = 'p/4ss-w0rd#';
/** What the module needs, and nothing else: no other key, no other command. */
const RULES =
  'on resetkeys resetchannels -@all ~acl:* +select +quit +get +set +getex +evalsha +eval +getrange +del +pttl +scan +zrem +zadd +zscore ' +
  '+zremrangebyscore +zrangebyscore +pexpire +time +info +ping';

const itWithOwnServer = itUnless('REDIS_URL');

describe('A connection to Redis', () => {
  const repositories: RedisSessionRepository[] = [];
  let errors: string[];

  const open = async (redis: RedisSessionOptions): Promise<RedisSessionRepository> => {
    const repository = await RedisSessionRepository.create(resolveOptions({ type: 'redis', redis, keyPrefix: 'acl:', storeTimeout: '2s' }));
    repositories.push(repository);
    return repository;
  };
  /** Everything that a repository does. */
  const walk = async (repository: RedisSessionRepository): Promise<unknown[]> => {
    const handle = `walk${Math.random().toString(36).slice(2)}`;
    const record = { payload: Buffer.from('text'), principal: 'ann' };
    return [
      await repository.create(handle, record, LONG),
      (await repository.read(handle, LONG))?.payload.toString(),
      (await repository.update(handle, record, '1', LONG)).status,
      (await repository.peek(handle))?.version,
      (await repository.list({ principal: 'ann', limit: 10 })).records.length,
      await repository.count({}),
      await repository.count({ principal: 'ann' }),
      (await repository.list({ limit: 10 })).records.length,
      await repository.delete(handle),
    ];
  };
  const WALKED = ['1', 'text', 'updated', '2', 1, 1, 1, 1, true];

  beforeEach(() => {
    errors = [];
    jest.spyOn(Logger.prototype, 'error').mockImplementation((message: string) => void errors.push(message));
    jest.spyOn(Logger.prototype, 'log').mockReturnValue();
  });
  afterEach(async () => {
    await Promise.all(repositories.splice(0).map((repository) => repository.onApplicationShutdown()));
    jest.restoreAllMocks();
  });

  describe('with TLS and a user of its own', () => {
    let server: TestServer | undefined;
    let folder: string;
    let port: number;
    const certificate = (): Buffer => readFileSync(join(folder, 'cert.pem'));
    const url = (password = PASSWORD): string => `rediss://${USER}:${encodeURIComponent(password)}@127.0.0.1:${port}/1`;

    beforeAll(async () => {
      if ((process.env['REDIS_URL'] ?? '') !== '') return;
      folder = mkdtempSync(join(tmpdir(), 'redis-tls-'));
      const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
      const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
      execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-keyout', key, '-out', cert, ...names], {
        stdio: 'ignore',
      });
      port = await freePort();
      const tls = ['--tls-port', String(port), '--tls-cert-file', cert, '--tls-key-file', key, '--tls-auth-clients', 'no'];
      server = await startRedis({ args: tls });
      const admin = new Redis(server.url);
      await admin.acl('SETUSER', USER, ...RULES.split(' '), `>${PASSWORD}`);
      await admin.quit();
    }, STARTUP);
    afterAll(async () => {
      await server?.stop();
      if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
    });

    itWithOwnServer('does everything', async () => {
      expect(await walk(await open({ url: url(), tls: { ca: certificate() } }))).toEqual(WALKED);
      expect(errors).toEqual([]);
    });

    itWithOwnServer('does everything through a client of the application', async () => {
      const client = new Redis(url(), { tls: { ca: certificate() } });
      try {
        expect(await walk(await open({ client }))).toEqual(WALKED);
      } finally {
        client.disconnect();
      }
    });

    itWithOwnServer.each<[reason: string, options: () => RedisSessionOptions]>([
      ['self-signed certificate', () => ({ url: url() })],
      ['WRONGPASS invalid username-password pair', () => ({ url: url('s3cret-guess'), tls: { ca: certificate() } })],
    ])('that fails says where and why: %s', async (reason, options) => {
      const repository = await open(options());
      const where = `Redis at 127.0.0.1:${port}`;
      await expect(repository.read('any')).rejects.toThrow(new RegExp(`^no connection to ${where} within \\d+ ms: ${reason}`));
      await eventually(async () => expect(errors[0]).toContain(`${where}: ${reason}`));
      expect(errors).toHaveLength(1);
      expect(errors.join()).not.toMatch(/s3cret|ss-w0rd/);
    });
  });

  it('that is refused says where and why, and nothing of a password', async () => {
    const port = await freePort();
    for (const redis of [{ url: `redis://user:s3cret@127.0.0.1:${port}` }, { host: '127.0.0.1', port, password: 's3cret' }]) {
      const refused = (await open(redis)).read('any');
      const where = `Redis at 127.0.0.1:${port}`;
      await expect(refused).rejects.toThrow(new RegExp(`^no connection to ${where} within \\d+ ms: connect ECONNREFUSED`));
      expect(errors.splice(0)).toEqual([`${where}: connect ECONNREFUSED 127.0.0.1:${port}`]);
    }
  });

  it('with a URL in place of a host shows no password', async () => {
    const refused = (await open({ host: 'redis://user:s3cret@127.0.0.1' })).read('any');
    await expect(refused).rejects.toThrow(/^no connection to Redis at /);
    await expect(refused).rejects.not.toThrow('s3cret');
    expect(errors.join()).not.toContain('s3cret');
  });

  describe('through Sentinel', () => {
    let primary: RedisTestServer | undefined;
    let sentinel: TestServer | undefined;

    beforeAll(async () => {
      primary = await startRedis({ replicas: 1 });
      sentinel = await startRedisSentinel('sessions', primary);
    }, STARTUP);
    afterAll(async () => {
      await sentinel?.stop();
      await primary?.stop();
    });

    it(
      'finds the primary, and the next one after a fail-over',
      async () => {
        const { host, port } = sentinel!;
        const repository = await open({ sentinels: [{ host, port }], name: 'sessions' });
        const record = { payload: Buffer.from('text') };
        expect(await repository.create('before', record, LONG)).toBe('1');
        const admin = new Redis(sentinel!.url);
        const replica = new Redis(primary!.replicas[0]!.url);
        await eventually(async () => expect(await admin.call('SENTINEL', 'FAILOVER', 'sessions')).toBe('OK'), 20_000);
        let number = 0;
        await eventually(async () => {
          await repository.create(`after${++number}`, record, LONG);
          expect(await replica.exists(`acl:after${number}`)).toBe(1);
        }, 30_000);
        admin.disconnect();
        replica.disconnect();
      },
      STARTUP,
    );
  });
});
