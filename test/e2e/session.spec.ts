import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Body, Controller, Get, Post, Redirect, Req, Res, Session as NestSession, Sse, StreamableFile } from '@nestjs/common';
import { interval, map, of, take } from 'rxjs';
import { ServerSession, Session } from 'nestjs-server-session';
import { ADAPTERS, startApplication, type RunningApplication } from './application.js';
import { Browser } from './browser.js';

declare module 'nestjs-server-session' {
  interface SessionData {
    n?: number;
    cart?: string[];
  }
}

const count = (session: ServerSession): number => (session.n = (session.n ?? 0) + 1);

@Controller()
class WaysController {
  @Get('unused') unused(): string {
    return 'ok';
  }
  @Get('read') read(@Session() session: ServerSession): unknown {
    return { n: session.n ?? null };
  }
  @Get('value') value(@Session() session: ServerSession): number {
    return count(session);
  }
  @Get('promise') async promise(@Session() session: ServerSession): Promise<number> {
    await Promise.resolve();
    return count(session);
  }
  @Get('observable') observable(@Session() session: ServerSession) {
    return of(1, 2, 3).pipe(map(() => count(session)));
  }
  @Get('redirect') @Redirect('/read') redirect(@Session() session: ServerSession): void {
    count(session);
  }
  @Get('file') file(@Session() session: ServerSession): StreamableFile {
    return new StreamableFile(Buffer.from(String(count(session))));
  }
  @Get('res') res(@Session() session: ServerSession, @Res() res: { send(body: string): void }): void {
    res.send(String(count(session)));
  }
  @Get('stream') stream(@Session() session: ServerSession, @Res() res: any): void {
    const raw = res.raw ?? res;
    if (res.hijack) res.hijack();
    count(session);
    raw.writeHead(200, { 'content-type': 'text/plain' });
    raw.write('a');
    setTimeout(() => {
      session.cart = ['late'];
      raw.end('b');
    }, 20);
  }
  @Sse('sse') sse(@Session() session: ServerSession) {
    count(session);
    return interval(5).pipe(
      take(3),
      map((data) => ({ data: String(data) })),
    );
  }
  @Get('throw') throws(@Session() session: ServerSession): never {
    count(session);
    throw new Error('handler');
  }
  @Get('nest') nest(@NestSession() session: ServerSession): number {
    return count(session);
  }
  @Get('req') req(@Req() req: { session: ServerSession }): number {
    return count(req.session);
  }
  @Post('set') set(@Session() session: ServerSession, @Body() body: Record<string, unknown>): unknown {
    Object.assign(session, body);
    return session;
  }
  @Post('destroy') async destroy(@Session() session: ServerSession): Promise<void> {
    await session.destroy();
  }
  @Post('regenerate') async regenerate(@Session() session: ServerSession): Promise<void> {
    await session.regenerate();
  }
}

describe.each(ADAPTERS)('on %s', (adapter) => {
  let running: RunningApplication;
  beforeAll(async () => {
    running = await startApplication({ adapter, controllers: [WaysController] });
  });
  afterAll(() => running.close());

  it.each(['value', 'promise', 'observable', 'redirect', 'file', 'res', 'stream', 'sse', 'throw', 'nest', 'req'])(
    'keeps changes: %s',
    async (path) => {
      const browser = new Browser(running.url);
      const first = await browser.get(path);
      expect([first.status, browser.jar.size]).toEqual([path === 'throw' ? 500 : path === 'redirect' ? 302 : 200, 1]);
      const { n } = (await browser.get('read')).json as { n: number };
      expect(n).toBe(path === 'observable' ? 3 : 1);
      await browser.get(path);
      expect((await browser.get('read')).json).toEqual({ n: n * 2 });
      if (path === 'stream') expect((await browser.post('set', {})).json).toEqual({ n: 2, cart: ['late'] });
    },
  );

  it('creates nothing for a visitor', async () => {
    const browser = new Browser(running.url);
    expect((await browser.get('read')).cookies).toEqual([]);
    expect((await browser.get('unused')).headers.get('vary') ?? '').not.toMatch(/cookie/i);
    expect((await browser.get('read')).headers.get('vary')).toMatch(/cookie/i);
  });

  it('destroys', async () => {
    const browser = new Browser(running.url);
    await browser.get('value');
    const thief = browser.clone();
    await browser.post('destroy');
    expect(browser.jar.size).toBe(0);
    expect((await thief.get('read')).json).toEqual({ n: null });
  });

  it('regenerates', async () => {
    const browser = new Browser(running.url);
    await browser.get('value');
    const before = browser.cookieHeader;
    await browser.post('regenerate');
    expect(browser.cookieHeader).not.toBe(before);
    expect((await browser.get('read')).json).toEqual({ n: 1 });
  });
});
