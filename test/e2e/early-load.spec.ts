import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller, Get, Req } from '@nestjs/common';
import passport from 'passport';
import type { ServerSession, ServerSessionOptions } from 'nestjs-server-session';
import { APPLICATIONS, type ApplicationOptions, type RunningApplication, startApplication } from './application.js';
import { Browser } from './browser.js';
import { RecordingRepository } from './recording.repository.js';

type Request = { url: string; originalUrl?: string; session?: ServerSession; sessionID?: string };
type Proceed = (error?: unknown) => void;

/** What a middleware found as it was called, with no chance to wait. */
const found: unknown[] = [];

function look(request: Request, _response: unknown, proceed: Proceed): void {
  const { session } = request;
  found.push(session === undefined ? undefined : { n: session.get('n', 0), id: request.sessionID === session.sid });
  if (session !== undefined && (request.originalUrl ?? request.url).startsWith('/count')) session.set('n', session.get('n', 0) + 1);
  proceed();
}

@Controller()
class PagesController {
  @Get(['count', 'page']) page(): string {
    return 'ok';
  }
  @Get('same') same(@Req() request: Request & { raw?: Request }): boolean {
    return request.session !== undefined && (request.raw ?? request).session === request.session;
  }
}

describe.each(APPLICATIONS)('On %s by %s,', (adapter, boot) => {
  const repository = new RecordingRepository();
  let running: RunningApplication;

  const start = async (session: ServerSessionOptions, more: Partial<ApplicationOptions> = {}): Promise<Browser> => {
    running = await startApplication({
      adapter,
      boot,
      session: { repository, ...session },
      controllers: [PagesController],
      configure: (app) => void app.use(look),
      ...more,
    });
    found.length = 0;
    return new Browser(running.url);
  };
  afterEach(() => running.close());

  it('without earlyLoad a middleware finds no session, and the store is not asked', async () => {
    const browser = await start({});
    await browser.get('count');
    expect([found, browser.jar.size]).toEqual([[undefined], 0]);
  });

  it.each<[string, Partial<ApplicationOptions>]>([
    ['app.use', {}],
    ['consumer.apply', { configure: () => undefined, middleware: (consumer) => void consumer.apply(look).forRoutes('*path') }],
  ])('with earlyLoad a middleware of %s finds the session of the store at once, and what it changes is saved', async (_how, more) => {
    const browser = await start({ earlyLoad: true }, more);
    await browser.get('count');
    await browser.get('count');
    repository.calls = [];
    await browser.get('page');
    expect(found).toEqual([0, 1, 2].map((n) => ({ n, id: true })));
    expect(repository.calls).toEqual(['read']);
    expect((await browser.get('same')).json).toBe(true);
  });

  it('a request without a session costs nothing: no store call, no cookie', async () => {
    const browser = await start({ earlyLoad: true });
    repository.calls = [];
    expect((await browser.get('page')).cookies).toEqual([]);
    expect(repository.calls).toEqual([]);
  });

  it('a function says which requests have it', async () => {
    const browser = await start({ earlyLoad: (request) => request.headers['x-early'] !== undefined });
    await browser.get('page');
    await browser.get('page', { 'x-early': '1' });
    expect(found).toEqual([undefined, { n: 0, id: true }]);
  });

  it('a store that fails is a 503 before any middleware', async () => {
    const browser = await start({ earlyLoad: true });
    await browser.get('count');
    found.length = 0;
    repository.broken.add('read');
    const { status, text } = await browser.get('page');
    repository.broken.clear();
    expect([status, text.includes('fire'), found]).toEqual([503, false, []]);
  });

  it('passport.session() finds it', async () => {
    const authenticator = new passport.Passport();
    authenticator.serializeUser((user, done) => done(null, (user as { name: string }).name));
    authenticator.deserializeUser((name, done) => done(null, { name }));

    @Controller()
    class UserController {
      @Get('user') user(@Req() request: { user?: unknown; raw?: { user?: unknown } }): unknown {
        return { user: request.user ?? request.raw?.user ?? null };
      }
    }
    const browser = await start(
      { earlyLoad: true },
      {
        controllers: [UserController],
        configure: (app) => {
          app.use(authenticator.initialize());
          app.use(authenticator.session());
          app.use((request: Request & { logIn(user: object, done: Proceed): void }, _response: unknown, proceed: Proceed) => {
            if ((request.originalUrl ?? request.url).includes('?name')) request.logIn({ name: 'ada' }, proceed);
            else proceed();
          });
        },
      },
    );
    expect((await browser.get('user')).json).toEqual({ user: null });
    expect((await browser.get('user?name')).json).toEqual({ user: { name: 'ada' } });
    expect((await browser.get('user')).json).toEqual({ user: { name: 'ada' } });
  });
});
