import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { ServerSessionOptions } from 'nestjs-server-session';
import { type AdminApplication, startAdmin, whoAmI } from '../admin/support/application.js';
import { startMemcached, startRedis } from '../servers/index.js';
import { CommandLine, type Ended, jsonLines } from './support/command-line.js';

const LIMIT = 120_000;

interface Store {
  readonly options: ServerSessionOptions;
  readonly env: Readonly<Record<string, string>>;
  remove(): Promise<void>;
}

const STORES: Record<string, () => Promise<Store>> = {
  redis: async () => {
    const { url, stop } = await startRedis().then((server) => ({ url: server.url, stop: () => server.stop() }));
    return { options: { type: 'redis', redis: { url } }, env: { SESSION_TYPE: 'redis', SESSION_REDIS: url }, remove: stop };
  },
  filesystem: async () => {
    const dir = await mkdtemp(join(tmpdir(), 'command-line-'));
    return {
      options: { type: 'filesystem', filesystem: { dir } },
      env: { SESSION_TYPE: 'filesystem', SESSION_FILE_DIR: dir },
      remove: () => rm(dir, { recursive: true, force: true }),
    };
  },
};

let cli: CommandLine;
let store: Store | undefined;
let app: AdminApplication;

const run = (...args: string[]): Promise<Ended> => cli.run(args, store?.env);
const meta: ServerSessionOptions['meta'] = ({ headers }) => ({ agent: headers['user-agent'] });

beforeAll(async () => {
  cli = await CommandLine.build();
}, LIMIT);
afterAll(() => cli.remove());

describe.each(Object.keys(STORES))('On %s, the command line', (name) => {
  beforeAll(async () => {
    store = await STORES[name]?.();
  }, LIMIT);
  afterEach(() => app?.close());
  afterAll(async () => {
    await store?.remove();
    store = undefined;
  });
  const start = async (options: ServerSessionOptions = {}): Promise<void> => {
    app = await startAdmin({ storeTimeout: '10s', ...store?.options, ...options, meta });
  };

  it(
    'counts and lists sessions without showing an id, and data only when asked to',
    async () => {
      await start();
      const ada = await app.loggedIn('ada-1', 'a laptop');
      const anonymous = app.browser();
      await anonymous.post('visit');
      const id = ada.browser.jar.get('session') ?? '';

      expect(jsonLines((await run('count', '--principal', 'ada-1', '--json')).stdout)).toEqual([{ count: 1 }]);
      expect(Number((await run('count')).stdout)).toBeGreaterThanOrEqual(2);

      const plain = await run('list', '--principal', 'ada-1', '--json');
      const [listed] = jsonLines(plain.stdout);
      expect(listed).toEqual({
        handle: ada.handle,
        principal: 'ada-1',
        createdAt: expect.stringMatching(/^20.+Z$/),
        lastAccessedAt: expect.stringMatching(/^20.+Z$/),
        expiresAt: expect.stringMatching(/^20.+Z$/),
        meta: { agent: 'node' },
      });
      const full = await run('list', '--principal', 'ada-1', '--json', '--data');
      expect(jsonLines(full.stdout)).toMatchObject([{ data: { device: 'a laptop' } }]);
      const text = await run('list', '--all', '--data');
      expect(text.stdout).toContain(`${ada.handle}\n  principal  ada-1\n`);
      expect(text.stdout).toContain('"device":"a laptop"');
      for (const { stdout, stderr } of [plain, full, text]) expect(stdout + stderr).not.toContain(id);
    },
    LIMIT,
  );

  it(
    'shows nothing that a terminal would obey',
    async () => {
      await start();
      await app.loggedIn('eve', 'a\u001b]0;owned\u0007\u202etop');
      const { stdout } = await run('list', '--principal', 'eve', '--data');
      expect(stdout).toContain('a\\u001b]0;owned\\u0007\\u202etop');
    },
    LIMIT,
  );

  it(
    'lists page by page, and goes on where it was',
    async () => {
      await start();
      const devices = await Promise.all(Array.from({ length: 5 }, () => app.loggedIn('paula')));
      const found: unknown[] = [];
      let cursor: string | undefined;
      do {
        const { stdout } = await run('list', '--principal', 'paula', '--limit', '2', '--json', ...(cursor ? ['--cursor', cursor] : []));
        const lines = jsonLines(stdout);
        found.push(...lines.filter((line) => 'handle' in line).map(({ handle }) => handle));
        cursor = lines.at(-1)?.['cursor'] as string | undefined;
      } while (cursor !== undefined);
      expect(found.sort()).toEqual(devices.map(({ handle }) => handle).sort());
      const all = await run('list', '--principal', 'paula', '--limit', '2', '--all', '--json');
      expect(jsonLines(all.stdout).length).toBe(5);
      expect((await run('list', '--cursor', 'no such thing!')).code).toBe(1);
    },
    LIMIT,
  );

  it(
    'ends a session by its handle, at once',
    async () => {
      await start();
      const [first, second] = [await app.loggedIn('ben'), await app.loggedIn('ben')];
      const ended = await run('revoke', first.handle, 'A'.repeat(43), '--json');
      expect([ended.code, jsonLines(ended.stdout)]).toEqual([0, [{ revoked: 1, missing: 1 }]]);
      expect((await whoAmI(first.browser)).user).toBeNull();
      expect((await whoAmI(second.browser)).user).toBe('ben');
      const again = await run('revoke', first.handle);
      expect([again.code, again.stdout]).toEqual([3, '0 ended\n']);
      // Given an id by mistake, it does nothing and does not repeat it.
      const id = second.browser.jar.get('session') ?? '';
      const mistaken = await run('revoke', id, '--json');
      expect(mistaken.code).toBe(3);
      expect(mistaken.stdout + mistaken.stderr).not.toContain(id);
    },
    LIMIT,
  );

  it(
    'ends all sessions of a user but those excepted',
    async () => {
      await start();
      const [first, second, third, other] = await Promise.all(['cleo', 'cleo', 'cleo', 'dora'].map((user) => app.loggedIn(user)));
      const ended = await run(
        'revoke-all',
        '--principal',
        'cleo',
        '--except',
        first?.handle ?? '',
        '--except',
        third?.handle ?? '',
        '--json',
      );
      expect([ended.code, jsonLines(ended.stdout)]).toEqual([0, [{ revoked: 1 }]]);
      const users = await Promise.all([first, second, third, other].map(async (device) => device && (await whoAmI(device.browser)).user));
      expect(users).toEqual(['cleo', null, 'cleo', 'dora']);
      expect((await run('revoke-all', '--principal', 'cleo')).stdout).toBe('2 ended\n');
      expect((await run('revoke-all', '--principal', 'cleo')).code).toBe(3);
      const none = await run('list', '--principal', 'cleo');
      expect([none.code, none.stdout]).toEqual([3, '']);
    },
    LIMIT,
  );

  it(
    'removes expired sessions where the store does not',
    async () => {
      await start({ lifetime: '1s', purge: false });
      await app.loggedIn('frida');
      // The filesystem waits some seconds more, for a writer that may still be at work.
      let purged: Ended;
      let tries = 0;
      do {
        await pause(1_500);
        purged = await run('purge', '--json');
      } while (name !== 'redis' && jsonLines(purged.stdout)[0]?.['removed'] === 0 && ++tries < 20);
      expect([purged.code, jsonLines(purged.stdout)]).toEqual([0, [{ removed: name === 'redis' ? 0 : 1 }]]);
      expect(purged.stderr.includes("'redis' removes expired sessions itself")).toBe(name === 'redis');
    },
    LIMIT,
  );
});

describe('On memcached, the command line', () => {
  it(
    'says that it cannot list, and ends sessions by their handles all the same',
    async () => {
      const server = await startMemcached();
      const servers = `${server.host}:${server.port}`;
      const env = { SESSION_TYPE: 'memcached', SESSION_MEMCACHED: servers };
      try {
        app = await startAdmin({ type: 'memcached', memcached: { servers }, storeTimeout: '10s' });
        const device = await app.loggedIn('gwen');
        for (const args of [['list'], ['count'], ['revoke-all', '--principal', 'gwen']]) {
          const { code, stdout, stderr } = await cli.run(args, env);
          expect([code, stdout]).toEqual([1, '']);
          expect(stderr).toContain("needs a back end that can list its sessions, and type 'memcached' cannot");
        }
        expect((await cli.run(['revoke', device.handle], env)).stdout).toBe('1 ended\n');
        expect((await whoAmI(device.browser)).user).toBeNull();
      } finally {
        await app.close();
        await server.stop();
      }
    },
    LIMIT,
  );
});

describe('Used wrongly, the command line ends with 2 and says why:', () => {
  it.each<[string, string[], Record<string, string>, string]>([
    ['no command', [], {}, 'Usage: nestjs-server-session'],
    ['an unknown command', ['lsit'], {}, "unknown command 'lsit'"],
    ['an unknown option', ['list', '--prinzipal', 'x'], {}, "unknown option '--prinzipal'"],
    ['an unknown option among handles', ['revoke', '--jsno', 'x'], {}, "'--jsno' is neither a handle"],
    ['no handle', ['revoke'], {}, "missing required argument 'handles'"],
    ['no user', ['revoke-all'], {}, "required option '--principal <name>'"],
    ['a value that is missing', ['list', '--limit'], {}, "option '--limit <number>' needs a value"],
    ['a value too many', ['list', '--all=yes'], {}, "option '--all' takes no value"],
    ['an id in the wrong place', ['count', 'x'.repeat(43)], {}, 'too many arguments'],
    ['a limit that is none', ['list', '--limit', '0'], {}, 'a number from 1 to 1000'],
    ['no store', ['count'], {}, 'no store: set SESSION_TYPE'],
    ['a store inside of another process', ['count'], { SESSION_TYPE: 'memory' }, "says 'memory'"],
    ['a wrong variable', ['count'], { SESSION_TYPE: 'rediss' }, "'SESSION_TYPE' (option 'type') is 'rediss'"],
    ['a table for what has none', ['migrate-table'], { SESSION_TYPE: 'filesystem' }, "this store is 'filesystem'"],
  ])(
    '%s',
    async (_what, args, env, reason) => {
      const { code, stdout, stderr } = await cli.run(args, { SESSION_FILE_DIR: cli.folder, ...env });
      expect([code, stdout]).toEqual([2, '']);
      expect(stderr).toContain(reason);
    },
    LIMIT,
  );
});

describe('Asked for help, the command line', () => {
  it(
    'explains its commands, variables, exit codes and examples',
    async () => {
      const { code, stdout } = await cli.run(['--help']);
      expect(code).toBe(0);
      for (const part of ['migrate-table', 'SESSION_SQLALCHEMY', '--module <file>', 'Exit codes:', 'Examples:'])
        expect(stdout).toContain(part);
      expect((await cli.run(['revoke-all', '--help'])).stdout).toContain('--except <handle>');
      expect((await cli.run(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    },
    LIMIT,
  );
});
