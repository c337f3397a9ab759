import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller, Get, Post } from '@nestjs/common';
import { request as httpRequest } from 'node:http';
import { type ServerSession, type ServerSessionOptions, Session } from 'nestjs-server-session';
import { ADAPTERS, type RunningApplication, startApplication } from './application.js';
import { Browser } from './browser.js';
import { RecordingRepository } from './recording.repository.js';

@Controller()
class CookieController {
  @Get('read') read(@Session() session: ServerSession): unknown {
    return { user: session.get('user', null), id: session.isNew ? null : session.sid };
  }
  @Post('login') login(@Session() session: ServerSession): string {
    session.set('user', 'ada');
    return session.sid;
  }
  @Post('forget') forget(@Session() session: ServerSession): void {
    session.permanent = false;
  }
  @Post('destroy') async destroy(@Session() session: ServerSession): Promise<void> {
    await session.destroy();
  }
  @Post('farewell') async farewell(@Session() session: ServerSession): Promise<void> {
    await session.destroy();
    session.flash('info', 'bye');
  }
  @Get('flashes') flashes(@Session() session: ServerSession): unknown {
    return session.flashes();
  }
  @Post('save-then-throw') async saveThenThrow(@Session() session: ServerSession): Promise<never> {
    session.set('user', 'ada');
    await session.save();
    throw new Error('later');
  }
}

const DAY = 24 * 60 * 60;

describe.each(ADAPTERS)('On %s, the cookie', (adapter) => {
  let running: RunningApplication | undefined;
  const start = async (session: ServerSessionOptions = {}, trustProxy = false): Promise<Browser> => {
    running = await startApplication({ adapter, session: { type: 'memory', ...session }, controllers: [CookieController], trustProxy });
    return new Browser(running.url);
  };
  afterEach(async () => {
    await running?.close();
    running = undefined;
  });

  it('is HttpOnly, SameSite=Lax, for the whole site, and lives as long as the session', async () => {
    const browser = await start();
    const { cookies, text } = await browser.post('login');
    expect(cookies).toEqual([
      expect.objectContaining({ name: 'session', value: text, path: '/', httpOnly: true, sameSite: 'lax', maxAge: 31 * DAY }),
    ]);
    expect(cookies[0]).not.toHaveProperty('secure');
    expect(cookies[0]).not.toHaveProperty('domain');
    expect(text).toMatch(/^[\w-]{43}$/);
    const expires = cookies[0]!.expires!.getTime();
    expect(Math.abs(expires - Date.now() - 31 * DAY * 1000)).toBeLessThan(10_000);
  });

  it('has every attribute that was asked for', async () => {
    const browser = await start({
      cookie: {
        name: '__Secure-id',
        domain: 'example.org',
        path: '/shop',
        httpOnly: false,
        secure: true,
        sameSite: 'none',
        partitioned: true,
      },
      lifetime: '20m',
    });
    const { headers } = await browser.post('login');
    const [header] = headers.getSetCookie();
    expect(header).toMatch(/^__Secure-id=[\w-]{43}; /);
    for (const attribute of ['Domain=example.org', 'Path=/shop', 'Secure', 'SameSite=None', 'Partitioned', 'Max-Age=1200']) {
      expect(header!.split('; ')).toContain(attribute);
    }
    expect(header).not.toMatch(/httponly/i);
  });

  it('has no expiry where the session is not permanent, by option or by session', async () => {
    const browser = await start({ permanent: false });
    const [cookie] = (await browser.post('login')).cookies;
    expect([cookie?.expires, cookie?.maxAge]).toEqual([undefined, undefined]);
    await running!.close();
    const other = await start();
    await other.post('login');
    const { cookies } = await other.post('forget');
    expect(cookies).toHaveLength(1);
    expect([cookies[0]?.expires, cookies[0]?.maxAge]).toEqual([undefined, undefined]);
    expect((await other.post('login')).cookies).toEqual([]);
  });

  it('is sent again only when something about it changed', async () => {
    const browser = await start();
    await browser.post('login');
    for (const path of ['read', 'read', 'flashes']) expect((await browser.get(path)).cookies).toEqual([]);
  });

  it('slides with the session, at most once per touchInterval', async () => {
    const repository = new RecordingRepository();
    const browser = await start({ repository, lifetime: '10m', touchInterval: '1s' });
    await browser.post('login');
    expect((await browser.get('read')).cookies).toEqual([]);
    await new Promise((resolve) => setTimeout(resolve, 1050));
    const { cookies } = await browser.get('read');
    expect(cookies).toEqual([expect.objectContaining({ name: 'session', maxAge: 600 })]);
    expect((await browser.get('read')).cookies).toEqual([]);
    expect(repository.calls).toEqual(['create', 'read', 'read', 'read']);
  });

  it('is cleared with the attributes it was set with', async () => {
    const browser = await start({ cookie: { domain: '127.0.0.1', path: '/' } });
    await browser.post('login');
    const { cookies } = await browser.post('destroy');
    expect(cookies).toEqual([
      expect.objectContaining({ name: 'session', value: '', maxAge: 0, domain: '127.0.0.1', path: '/', httpOnly: true }),
    ]);
    expect((await browser.post('destroy')).cookies).toEqual([]);
  });

  it('what is written after destroy() begins a new session with a new id', async () => {
    const browser = await start();
    await browser.post('login');
    const before = browser.cookieHeader;
    const { cookies } = await browser.post('farewell');
    expect(cookies).toHaveLength(1);
    expect(browser.cookieHeader).not.toBe(before);
    expect((await browser.get('read')).json).toMatchObject({ user: null });
    expect((await browser.get('flashes')).json).toEqual([{ kind: 'info', message: 'bye' }]);
    expect((await browser.get('flashes')).json).toEqual([]);
  });

  it('goes with an error response too', async () => {
    const browser = await start();
    expect((await browser.post('save-then-throw')).status).toBe(500);
    expect((await browser.get('read')).json).toMatchObject({ user: 'ada' });
  });

  describe('is signed with useSigner:', () => {
    it('an unsigned, forged or cut one is no session and costs the store nothing', async () => {
      const repository = new RecordingRepository();
      const browser = await start({ repository, useSigner: true, secret: 'current' });
      const { text: id } = await browser.post('login');
      const signed = browser.jar.get('session')!;
      expect(decodeURIComponent(signed)).toMatch(new RegExp(`^${id}\\.`));
      repository.calls = [];
      for (const value of [id, `${id}.`, `${id}.AAAA`, signed.slice(0, -2), `${signed}A`, `.${signed}`]) {
        browser.jar.set('session', value);
        expect((await browser.get('read')).json).toEqual({ user: null, id: null });
      }
      expect(repository.calls).toEqual([]);
      browser.jar.set('session', signed);
      expect((await browser.get('read')).json).toEqual({ user: 'ada', id });
    });

    it('secrets can be rotated: the former ones verify, and the cookie is signed anew', async () => {
      const repository = new RecordingRepository();
      const browser = await start({ repository, useSigner: true, secret: 'former' });
      await browser.post('login');
      const before = browser.jar.get('session');
      await running!.close();
      const after = await start({ repository, useSigner: true, secret: ['current', 'former'] });
      after.jar.set('session', before!);
      const { json, cookies } = await after.get('read');
      expect(json).toMatchObject({ user: 'ada' });
      expect(cookies).toHaveLength(1);
      expect(after.jar.get('session')).not.toBe(before);
      expect((await after.get('read')).cookies).toEqual([]);
      await running!.close();
      const later = await start({ repository, useSigner: true, secret: 'current' });
      later.jar.set('session', after.jar.get('session')!);
      expect((await later.get('read')).json).toMatchObject({ user: 'ada' });
    });
  });

  describe("with secure: 'auto'", () => {
    const viaProxy = { 'x-forwarded-proto': 'https' };

    it('is Secure behind a trusted proxy that was asked over https', async () => {
      const browser = await start({}, true);
      expect((await browser.post('login', undefined, viaProxy)).cookies[0]).toMatchObject({ secure: true });
    });

    it('is not Secure where the proxy is not trusted', async () => {
      const browser = await start();
      expect((await browser.post('login', undefined, viaProxy)).cookies[0]).not.toHaveProperty('secure');
    });
  });

  it('is not Secure with secure: false, not even over https', async () => {
    const browser = await start({ cookie: { secure: false } }, true);
    expect((await browser.post('login', undefined, { 'x-forwarded-proto': 'https' })).cookies[0]).not.toHaveProperty('secure');
  });

  describe('of a request', () => {
    it('is found among several of its name, wherever it stands', async () => {
      const browser = await start();
      await browser.post('login');
      const valid = browser.cookieHeader;
      const foreign = `session=${'A'.repeat(43)}`;
      for (const cookie of [
        `${foreign}; ${valid}`,
        `${valid}; ${foreign}`,
        `session=; session=x; ${valid}`,
        `a=b; session="; ${valid}; c`,
        `${Array.from({ length: 19 }, (_, index) => `session=${String(index).padStart(43, 'B')}`).join('; ')}; ${valid}`,
      ]) {
        expect((await browser.get('read', { cookie })).json).toMatchObject({ user: 'ada' });
      }
    });

    it('is never adopted where the server did not issue it', async () => {
      const repository = new RecordingRepository();
      const browser = await start({ repository });
      const forged = 'F'.repeat(43);
      browser.jar.set('session', forged);
      const { text, cookies } = await browser.post('login');
      expect(text).not.toBe(forged);
      expect(cookies).toHaveLength(1);
      expect(repository.calls).toEqual(['read', 'create']);
    });

    it.each([
      ['empty', ''],
      ['of 12 KiB', 'x'.repeat(12 * 1024)],
      ['too short', 'A'.repeat(21)],
      ['too long', 'A'.repeat(87)],
      ['with other characters', `${'A'.repeat(42)}+`],
      ['percent-encoded nonsense', '%E0%A4%A'.repeat(5)],
      ['a path', '../../etc/passwd'],
      ['a glob', '*'.repeat(43)],
      ['__proto__', '__proto__'],
    ])('is no session and costs the store nothing when it is %s', async (_what, value) => {
      const repository = new RecordingRepository();
      const browser = await start({ repository });
      const answer = await browser.get('read', { cookie: `session=${value}` });
      expect([answer.status, answer.json, answer.cookies]).toEqual([200, { user: null, id: null }, []]);
      expect(repository.calls).toEqual([]);
    });

    it('may be bytes that are no UTF-8, or longer than Node accepts: never a 500', async () => {
      const browser = await start();
      expect(await statusOf(browser.url, Buffer.from([0xff, 0xfe, 0x80, 0xc0]).toString('latin1'))).toBe(200);
      expect(await statusOf(browser.url, 'x'.repeat(64 * 1024))).toBe(431);
    });
  });
});

/** `fetch` refuses such headers itself. */
function statusOf(url: string, value: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    httpRequest(new URL('read', url), { headers: { cookie: `session=${value}` } }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on('error', reject)
      .end();
  });
}
