import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller, Get, HttpCode, type INestApplication, Module, Post, Query } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { type ServerSession, ServerSessionModule, Session, SessionService } from 'nestjs-server-session';
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { mountTinyDisk } from '../support/tiny-disk.js';

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

const disk = mountTinyDisk(1_024);

/** Writes until there is not one page left. */
function fill(path: string): void {
  const file = openSync(path, 'a');
  try {
    for (;;) writeSync(file, Buffer.alloc(4_096));
  } catch (error) {
    expect(error).toHaveProperty('code', 'ENOSPC');
  } finally {
    closeSync(file);
  }
}

(disk === undefined ? describe.skip : describe)('While the disk of the sessions is full,', () => {
  let app: INestApplication;
  let url: string;
  const path = disk?.path ?? '';

  beforeAll(async () => {
    @Module({
      imports: [ServerSessionModule.forRoot({ type: 'filesystem', filesystem: { dir: join(path, 'sessions') } })],
      controllers: [AccountController],
    })
    class Application {}
    app = await NestFactory.create(Application, { logger: false });
    await app.listen(0, '127.0.0.1');
    url = (await app.getUrl()).replace('[::1]', '127.0.0.1');
  });
  afterAll(async () => {
    await app.close();
    disk?.unmount();
  });

  const send = (route: string, cookie = '', method = 'POST'): Promise<Response> =>
    fetch(`${url}/${route}`, { method, headers: { cookie } });
  const logIn = async (user: string): Promise<string> => (await send(`log-in?user=${user}`)).headers.getSetCookie()[0]?.split(';')[0] ?? '';
  const userOf = async (cookie: string): Promise<unknown> => (await send('user', cookie, 'GET')).json();

  it('users log out, administrators end sessions, pages are read, and a log-in is answered with 503', async () => {
    const [ann, bob, carol, dora] = [await logIn('ann'), await logIn('bob'), await logIn('carol'), await logIn('carol')];
    const service = app.get(SessionService);
    fill(join(path, 'ballast'));
    expect((await send('log-in?user=eve')).status).toBe(503);
    expect(await userOf(bob)).toEqual({ user: 'bob' });
    const bye = await send('log-out', ann);
    expect([bye.status, bye.headers.getSetCookie()[0]]).toEqual([204, expect.stringMatching(/^session=;.*(Max-Age=0|1970)/)]);
    fill(join(path, 'ballast'));
    const [session] = (await service.list({ principal: 'bob' })).sessions;
    expect(await service.revoke(session?.handle ?? '')).toBe(true);
    fill(join(path, 'ballast'));
    expect(await service.revokeAll({ principal: 'carol' })).toBe(2);
    for (const cookie of [ann, bob, carol, dora]) expect(await userOf(cookie)).toEqual({});
    expect(await service.count()).toBe(0);
  });
});
