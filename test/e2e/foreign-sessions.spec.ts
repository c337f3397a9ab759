import { afterEach, describe, expect, it, jest } from '@jest/globals';
import secureSession from '@fastify/secure-session';
import { Controller, Get, Logger, Req } from '@nestjs/common';
import type { FastifyAdapter } from '@nestjs/platform-fastify';
import fastifyCookie from '@fastify/cookie';
import fastifySession from '@fastify/session';
import cookieSession from 'cookie-session';
import expressSession from 'express-session';
import { type ServerSession, Session, SessionService } from 'nestjs-server-session';
import { type Adapter, type ApplicationOptions, BOOTS, type RunningApplication, startApplication } from './application.js';
import { Browser } from './browser.js';

type Theirs = { theirs?: number; get?(key: string): unknown; set?(key: string, value: unknown): void };
type Request = { session: Theirs };

@Controller()
class BothController {
  constructor(private readonly sessions: SessionService) {}

  @Get('both') async both(@Session() ours: ServerSession, @Req() request: Request): Promise<unknown> {
    ours.set('ours', ours.get('ours', 0) + 1);
    count(request.session);
    const loaded = await this.sessions.load(request);
    return { ours: ours.get('ours'), theirs: read(request.session), same: loaded === ours, keys: Object.keys(ours) };
  }
  @Get('end-theirs') endTheirs(@Session() ours: ServerSession, @Req() request: { session: unknown }): unknown {
    request.session = null;
    return { ours: ours.get('ours') };
  }
  @Get('theirs') theirs(@Req() request: Request): unknown {
    count(request.session);
    return { theirs: read(request.session) };
  }
}

/** @fastify/secure-session has methods, the others have properties. */
function count(session: Theirs): void {
  if (typeof session.set === 'function') session.set('theirs', ((session.get!('theirs') as number | undefined) ?? 0) + 1);
  else session.theirs = (session.theirs ?? 0) + 1;
}

function read(session: Theirs): unknown {
  return typeof session.get === 'function' ? session.get('theirs') : session.theirs;
}

const SECRET = 'a secret of at least thirty-two characters';

const LIBRARIES: [string, Adapter, NonNullable<ApplicationOptions['configure']>][] = [
  ['express-session', 'express', (app) => void app.use(expressSession({ secret: SECRET, resave: false, saveUninitialized: false }))],
  [
    'express-session that saves always',
    'express',
    (app) => void app.use(expressSession({ secret: SECRET, resave: true, saveUninitialized: true, rolling: true })),
  ],
  ['cookie-session', 'express', (app) => void app.use(cookieSession({ name: 'theirs', secret: SECRET }))],
  [
    '@fastify/session',
    'fastify',
    (app) => {
      const fastify = app.getHttpAdapter() as FastifyAdapter;
      void fastify.register(fastifyCookie as never);
      void fastify.register(fastifySession as never, { secret: SECRET, cookie: { secure: false } });
    },
  ],
  [
    '@fastify/secure-session',
    'fastify',
    (app) =>
      void (app.getHttpAdapter() as FastifyAdapter).register(secureSession as never, {
        key: Buffer.alloc(32, 1),
        cookieName: 'theirs',
        cookie: { path: '/' },
      }),
  ],
];

describe.each(BOOTS)('In an application by %s', (boot) => {
  let running: RunningApplication;
  afterEach(() => running.close());

  describe.each(LIBRARIES)('with %s', (_name, adapter, configure) => {
    const start = async (): Promise<Browser> => {
      running = await startApplication({ adapter, boot, controllers: [BothController], configure });
      return new Browser(running.url);
    };

    it('req.session is theirs, and ours is there by @Session() and SessionService.load', async () => {
      const browser = await start();
      expect((await browser.get('both')).json).toEqual({ ours: 1, theirs: 1, same: true, keys: ['ours'] });
      expect((await browser.get('theirs')).json).toEqual({ theirs: 2 });
      expect((await browser.get('both')).json).toEqual({ ours: 2, theirs: 3, same: true, keys: ['ours'] });
    });

    it('req.session = null ends theirs, not ours', async () => {
      const browser = await start();
      await browser.get('both');
      await browser.get('end-theirs');
      expect((await browser.get('both')).json).toMatchObject({ ours: 2, same: true });
    });

    it('their cookie holds nothing of ours', async () => {
      const browser = await start();
      const { cookies } = await browser.get('both');
      const ours = cookies.find(({ name }) => name === 'session')?.value ?? '?';
      const texts = cookies
        .filter(({ name }) => name !== 'session')
        .map(({ value }) => Buffer.from(value ?? '', 'base64').toString() + value);
      expect(texts.length).toBeGreaterThan(0);
      for (const text of texts) expect([text.includes(ours), text.includes('ours')]).toEqual([false, false]);
    });
  });
});

describe('An application with another session library', () => {
  it('says once in the log whose req.session is', async () => {
    const lines: string[] = [];
    const logged = jest.spyOn(Logger.prototype, 'log').mockImplementation((line: unknown) => void lines.push(String(line)));
    const running = await startApplication({ adapter: 'express', controllers: [BothController], configure: LIBRARIES[0]![2] });
    for (let time = 0; time < 3; time++) await new Browser(running.url).get('both');
    await running.close();
    logged.mockRestore();
    expect(lines.filter((line) => line.includes('req.session'))).toEqual([
      'req.session belongs to another library, so it stays as it is; ours is there by @Session() and SessionService.load()',
    ]);
  });
});
