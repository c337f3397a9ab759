import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller, Get, HttpCode, type INestApplication, Module, Post, Query } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type ServerSession, ServerSessionModule, type ServerSessionOptions, Session, SessionService } from 'nestjs-server-session';
import { startMemcached, startRedis } from '../servers/index.js';
import { askRedis } from '../servers/redis-recipe.js';
import { mountTinyDisk } from '../support/tiny-disk.js';
import { sqlite } from './typeorm-bench.js';

const STARTUP = 60_000;

@Controller()
class AccountController {
  @Post('log-in')
  @HttpCode(204)
  logIn(@Session() session: ServerSession, @Query('user') user: string): void {
    session.principal = user;
    session.set('note', 'x'.repeat(500));
  }

  @Get('user')
  user(@Session() session: ServerSession): { user: string | undefined } {
    return { user: session.principal };
  }

  @Post('log-out')
  @HttpCode(204)
  async logOut(@Session() session: ServerSession): Promise<void> {
    await session.destroy();
  }
}

interface FullStore {
  readonly session: ServerSessionOptions;
  /** Takes all the room that there is now. */
  fill(sessions: SessionService): Promise<void>;
  stop(): Promise<void>;
}

/** Creates sessions until one is refused: large ones, and then the smallest. */
async function fillBySessions(sessions: SessionService): Promise<void> {
  for (const size of [20_000, 500, 1]) {
    const error = await (async () => {
      for (;;) await sessions.create({ data: { ballast: 'x'.repeat(size) } });
    })().catch((reason: unknown) => reason);
    expect(error).toHaveProperty('status', 503);
  }
}

/** Writes until there is not one page left. */
function fillDisk(path: string): void {
  const file = openSync(join(path, 'ballast'), 'a');
  try {
    for (;;) writeSync(file, Buffer.alloc(4_096));
  } catch (error) {
    expect(error).toHaveProperty('code', 'ENOSPC');
  } finally {
    closeSync(file);
  }
}

const redis = async (): Promise<FullStore> => {
  const server = await startRedis();
  const limit = (bytes: string): Promise<unknown> =>
    askRedis(server.url, (client) => client.config('SET', 'maxmemory-policy', 'noeviction', 'maxmemory', bytes));
  return {
    session: { type: 'redis', redis: { url: server.url } },
    fill: async () => void (await limit('1mb')),
    stop: async () => {
      await limit('0');
      await server.stop();
    },
  };
};

const memcached = async (): Promise<FullStore> => {
  // `-M`: an error, and no eviction.
  const server = await startMemcached({ args: ['-m', '2', '-M'] });
  return {
    session: { type: 'memcached', memcached: { servers: [new URL(server.url).host] } },
    fill: fillBySessions,
    stop: () => server.stop(),
  };
};

const sqliteFile = async (): Promise<FullStore> => {
  const database = sqlite();
  await database.start();
  const dataSource = await database.connect();
  return {
    session: { type: 'typeorm', typeorm: { dataSource } },
    fill: async (sessions) => {
      const [row] = await dataSource.query<{ page_count: number }[]>('PRAGMA page_count');
      await dataSource.query(`PRAGMA max_page_count = ${row?.page_count}`);
      await fillBySessions(sessions);
    },
    stop: async () => {
      await dataSource.destroy();
      await database.stop();
    },
  };
};

const disk = mountTinyDisk(1_024);
const filesystem = async (): Promise<FullStore> => {
  const path = disk?.path ?? '';
  return {
    session: { type: 'filesystem', filesystem: { dir: join(path, 'sessions') } },
    fill: async () => fillDisk(path),
    stop: async () => disk?.unmount(),
  };
};

/** Whether they can list sessions, and so end all of a user; and whether they can be filled here. */
const STORES: [name: string, start: () => Promise<FullStore>, lists: boolean, isHere: boolean][] = [
  ['a Redis that evicts nothing is at its limit', redis, true, (process.env['REDIS_URL'] ?? '') === ''],
  ['a Memcached that evicts nothing is full', memcached, false, (process.env['MEMCACHED_SERVERS'] ?? '') === ''],
  ['a SQLite file may not grow', sqliteFile, true, true],
  ['the disk of session files is full', filesystem, true, disk !== undefined],
];

for (const [name, start, lists, isHere] of STORES) {
  (isHere ? describe : describe.skip)(`While ${name},`, () => {
    let store: FullStore;
    let app: INestApplication;
    let sessions: SessionService;
    let url: string;

    beforeAll(async () => {
      store = await start();
      @Module({ imports: [ServerSessionModule.forRoot(store.session)], controllers: [AccountController] })
      class Application {}
      app = await NestFactory.create(Application, { logger: false });
      await app.listen(0, '127.0.0.1');
      url = (await app.getUrl()).replace('[::1]', '127.0.0.1');
      sessions = app.get(SessionService);
    }, STARTUP);
    afterAll(async () => {
      await app.close();
      await store.stop();
    });

    const send = (route: string, cookie = '', method = 'POST'): Promise<Response> =>
      fetch(`${url}/${route}`, { method, headers: { cookie } });
    const logIn = async (user: string): Promise<string> =>
      (await send(`log-in?user=${user}`)).headers.getSetCookie()[0]?.split(';')[0] ?? '';
    const userOf = async (cookie: string): Promise<unknown> => (await send('user', cookie, 'GET')).json();

    it('users log out, administrators end sessions, pages are read, and a log-in is answered with 503', async () => {
      const [ann, carol, dora] = [await logIn('ann'), await logIn('carol'), await logIn('carol')];
      const { handle, cookie: bob } = await sessions.create({ principal: 'bob', data: { note: 'x'.repeat(500) } });
      await store.fill(sessions);
      expect((await send('log-in?user=eve')).status).toBe(503);
      expect(await userOf(ann)).toEqual({ user: 'ann' });
      expect(await userOf(bob)).toEqual({ user: 'bob' });

      const bye = await send('log-out', ann);
      expect([bye.status, bye.headers.getSetCookie()[0]]).toEqual([204, expect.stringMatching(/^session=;.*(Max-Age=0|1970)/)]);
      await store.fill(sessions);
      expect(await sessions.revoke(handle)).toBe(true);
      await store.fill(sessions);
      if (lists) expect(await sessions.revokeAll({ principal: 'carol' })).toBe(2);

      for (const cookie of [ann, bob, ...(lists ? [carol, dora] : [])]) expect(await userOf(cookie)).toEqual({});
      if (lists) for (const principal of ['ann', 'bob', 'carol']) expect(await sessions.count({ principal })).toBe(0);
    });
  });
}
