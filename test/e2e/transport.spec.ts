import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { Controller, Get, Logger, Post } from '@nestjs/common';
import { MemoryStore } from 'express-session';
import { type ServerSession, type ServerSessionOptions, Session } from 'nestjs-server-session';
import { expressSessions } from 'nestjs-server-session/interop';
import { ADAPTERS, type RunningApplication, startApplication } from './application.js';
import { Browser } from './browser.js';

@Controller()
class CountController {
  @Post('count') count(@Session() session: ServerSession): number {
    session.set('n', session.get('n', 0) + 1);
    return session.get('n', 0);
  }
  @Get('read') read(@Session() session: ServerSession): number {
    return session.get('n', 0);
  }
  @Post('regenerate') async regenerate(@Session() session: ServerSession): Promise<void> {
    await session.regenerate({ keep: true });
  }
  @Post('destroy') async destroy(@Session() session: ServerSession): Promise<void> {
    await session.destroy();
  }
}

const HEADER = 'x-session-id';

describe.each(ADAPTERS)('On %s,', (adapter) => {
  let running: RunningApplication;
  const start = async (session: ServerSessionOptions): Promise<Browser> => {
    running = await startApplication({ adapter, session: { type: 'memory', ...session }, controllers: [CountController] });
    return new Browser(running.url);
  };
  afterEach(() => running.close());

  describe('an id in a header', () => {
    it('is sent once, and no cookie beside it', async () => {
      const browser = await start({ transport: { header: 'X-Session-Id' } });
      const { headers } = await browser.post('count');
      const id = headers.get(HEADER)!;
      expect(id).toMatch(/^[\w-]{43}$/);
      expect(headers.getSetCookie()).toEqual([]);
      expect([headers.get('vary'), headers.get('access-control-expose-headers')]).toEqual([expect.stringMatching(/x-session-id/), HEADER]);
      const again = await browser.post('count', undefined, { [HEADER]: id });
      expect([again.text, again.headers.get(HEADER), again.headers.get('access-control-expose-headers')]).toEqual(['2', null, null]);
      expect(again.headers.get('vary')).toMatch(/x-session-id/);
    });

    it('is not all that a response depends on where cookies of a former system are read', async () => {
      const adopt = [expressSessions({ secret: 'secret', store: new MemoryStore() })];
      const browser = await start({ transport: { header: HEADER }, adopt });
      expect((await browser.get('read')).headers.get('vary')).toMatch(/cookie, x-session-id/i);
    });

    it('is replaced by regenerate(), and empty when the session has ended', async () => {
      const browser = await start({ transport: { header: HEADER } });
      const id = (await browser.post('count')).headers.get(HEADER)!;
      const next = (await browser.post('regenerate', undefined, { [HEADER]: id })).headers.get(HEADER)!;
      expect([next.length, next === id]).toEqual([43, false]);
      expect((await browser.post('destroy', undefined, { [HEADER]: next })).headers.get(HEADER)).toBe('');
      expect((await browser.get('read', { [HEADER]: next })).text).toBe('0');
    });

    it('is signed as a cookie is: an unsigned or forged one is no session', async () => {
      const browser = await start({ transport: { header: HEADER }, useSigner: true, secret: 'secret' });
      const signed = (await browser.post('count')).headers.get(HEADER)!;
      const [id] = signed.split('.');
      for (const value of [id!, `${signed.slice(0, -1)}${signed.endsWith('A') ? 'B' : 'A'}`, '', 'x'.repeat(5000), `${id}.`]) {
        expect((await browser.get('read', { [HEADER]: value })).text).toBe('0');
      }
      expect((await browser.get('read', { [HEADER]: signed })).text).toBe('1');
    });

    it('is the only way in: a cookie is none', async () => {
      const browser = await start({ transport: { header: HEADER } });
      const id = (await browser.post('count')).headers.get(HEADER)!;
      expect((await browser.get('read', { cookie: `session=${id}` })).text).toBe('0');
    });
  });

  describe('an id in a cookie or a header', () => {
    const both: ServerSessionOptions = { transport: ['cookie', { header: HEADER }] };

    it('is sent both ways, and taken from either', async () => {
      const browser = await start(both);
      const { headers } = await browser.post('count');
      const id = headers.get(HEADER)!;
      expect(browser.jar.get('session')).toBe(id);
      expect((await browser.get('read')).text).toBe('1');
      const phone = new Browser(browser.url);
      expect((await phone.get('read', { [HEADER]: id })).text).toBe('1');
      expect((await phone.get('read')).headers.get('vary')).toMatch(/cookie, x-session-id/i);
    });

    it('that differs is that of the cookie, unless it has no session', async () => {
      const browser = await start(both);
      const ofCookie = (await browser.post('count')).headers.get(HEADER)!;
      const other = new Browser(browser.url);
      const ofHeader = (await other.post('count')).headers.get(HEADER)!;
      await other.post('count');
      const read = (cookie: string): Promise<{ text: string }> =>
        new Browser(browser.url).get('read', { cookie: `session=${cookie}`, [HEADER]: ofHeader });
      expect((await read(ofCookie)).text).toBe('1');
      expect((await read('A'.repeat(43))).text).toBe('2');
      expect((await read('nonsense')).text).toBe('2');
    });
  });

  describe('the domain of the cookie, as a function of the request', () => {
    it('is that of each request, also as the cookie is cleared', async () => {
      const browser = await start({ cookie: { domain: ({ headers }) => String(headers['x-tenant']) } });
      const set = await browser.post('count', undefined, { 'x-tenant': 'a.example.org' });
      expect(set.cookies).toEqual([expect.objectContaining({ domain: 'a.example.org' })]);
      const cleared = await browser.post('destroy', undefined, { 'x-tenant': 'a.example.org' });
      expect(cleared.cookies).toEqual([expect.objectContaining({ domain: 'a.example.org', maxAge: 0 })]);
      expect((await browser.post('count', undefined, { 'x-tenant': 'b.example.org' })).cookies).toEqual([
        expect.objectContaining({ domain: 'b.example.org' }),
      ]);
    });

    it('may be none', async () => {
      const browser = await start({ cookie: { domain: () => undefined } });
      expect((await browser.post('count')).cookies[0]).not.toHaveProperty('domain');
    });

    it('that is wrong is one error in the log and no cookie, never a broken header', async () => {
      const logged = jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
      const wrong: unknown[] = ['a b', 'a;b', 'x\r\nset-cookie: y=1', '', 7, null, 'a'.repeat(300)];
      const given = [...wrong];
      const browser = await start({
        cookie: {
          domain: () => {
            if (given.length === 0) throw new Error('no tenant');
            return given.shift() as string;
          },
        },
      });
      for (const _ of [...wrong, 'the one that throws']) {
        const { status, cookies, headers } = await new Browser(browser.url).post('count');
        expect([status, cookies, headers.get('vary')]).toEqual([201, [], 'Cookie']);
      }
      const lines = logged.mock.calls.map(([line]) => String(line));
      logged.mockRestore();
      expect(lines).toEqual([expect.stringMatching(/^the function 'cookie.domain' gave a string that is no host name/)]);
    });
  });
});
