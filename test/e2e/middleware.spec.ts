import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller, Get, Injectable, type NestMiddleware, Post } from '@nestjs/common';
import type { FastifyAdapter } from '@nestjs/platform-fastify';
import express from 'express';
import { AsyncLocalStorage } from 'node:async_hooks';
import type { ServerResponse } from 'node:http';
import { type ServerSession, Session, SessionService } from 'nestjs-server-session';
import { APPLICATIONS, type ApplicationOptions, type RunningApplication, startApplication } from './application.js';
import { Browser } from './browser.js';
import { RecordingRepository } from './recording.repository.js';

type Request = { url: string; originalUrl?: string; headers: object; session?: ServerSession };
type Next = (error?: unknown) => void;

/** What a middleware does with the session of a request, by its path. */
const WORK: Record<string, (session: ServerSession) => unknown> = {
  count: (session) => session.set('n', session.get('n', 0) + 1),
  'log-in': async (session) => {
    await session.regenerate();
    session.principal = 'ada';
  },
  'set-principal': (session) => (session.principal = 'ada'),
  destroy: (session) => session.destroy(),
};

/** The service of the application under test, for middleware that is set up before the application exists. */
const current: { sessions?: SessionService } = {};

async function work(request: Request): Promise<void> {
  const [, task = '', answer] = (request.originalUrl ?? request.url).split('/');
  const session = WORK[task] && (await current.sessions!.load(request));
  if (session !== undefined) await WORK[task]!(session);
  if (answer === 'refused') throw new Error('refused');
}

function middleware(request: Request, response: ServerResponse, proceed: Next): void {
  work(request).then(() => {
    if (!(request.originalUrl ?? request.url).endsWith('/answered')) return proceed();
    response.setHeader('content-type', 'text/plain');
    response.write('by the ');
    response.end('middleware');
  }, proceed);
}

@Injectable()
class WorkMiddleware implements NestMiddleware {
  use(request: Request, response: ServerResponse, proceed: Next): void {
    middleware(request, response, proceed);
  }
}

/** As nestjs-cls does it. */
const storage = new AsyncLocalStorage<object>();
const inStorage = (request: Request, response: ServerResponse, proceed: Next): void =>
  storage.run({}, middleware, request, response, proceed);

type Variant = Pick<ApplicationOptions, 'configure' | 'middleware' | 'prepare'>;

const inHook = (adapter: unknown): void => {
  (adapter as FastifyAdapter).getInstance().addHook('onRequest', (request, reply, done) => {
    middleware(request as unknown as Request, reply.raw, done as Next);
  });
};

const VARIANTS: Record<string, Variant> = {
  'app.use': { configure: (app) => void app.use(middleware) },
  'consumer.apply': { middleware: (consumer) => void consumer.apply(WorkMiddleware).forRoutes('*path') },
  'a middleware that runs the rest in an AsyncLocalStorage': { configure: (app) => void app.use(inStorage) },
};
const FASTIFY_VARIANTS: Record<string, Variant> = {
  "an onRequest hook before Nest's": { prepare: inHook },
  "an onRequest hook after Nest's": { configure: (app) => inHook(app.getHttpAdapter()) },
};

@Controller()
class PagesController {
  @Get('read') read(@Session() session: ServerSession): unknown {
    return { n: session.get('n', 0), principal: session.principal ?? null };
  }
  @Get(':task/unused') unused(): string {
    return 'unused';
  }
  @Get(':task/used') used(@Session() session: ServerSession): number {
    return session.get('n', 0);
  }
  @Post('end') end(): string {
    return 'ended';
  }
}

describe.each(APPLICATIONS)('On %s by %s,', (adapter, boot) => {
  const repository = new RecordingRepository();
  let running: RunningApplication;

  const start = async (variant: Variant, more: Partial<ApplicationOptions> = {}): Promise<Browser> => {
    running = await startApplication({
      adapter,
      boot,
      session: { repository, regenerateGrace: 0 },
      controllers: [PagesController],
      ...variant,
      ...more,
      configure: (app) => {
        current.sessions = app.get(SessionService);
        variant.configure?.(app);
        more.configure?.(app);
      },
    });
    return new Browser(running.url);
  };
  afterEach(() => running.close());

  const variants = Object.entries(adapter === 'fastify' ? { ...VARIANTS, ...FASTIFY_VARIANTS } : VARIANTS);

  describe.each(variants)('a session that %s loads', (_name, variant) => {
    const answers = ['unused', 'used', 'missing', 'refused', 'answered'];

    it.each(answers)('is saved and gets its cookie, however the request is answered: %s', async (answer) => {
      const browser = await start(variant);
      repository.latency = 10;
      await browser.get(`count/${answer}`);
      expect([browser.jar.has('session'), repository.underWay]).toEqual([true, 0]);
      repository.latency = 0;
      repository.calls = [];
      const again = await browser.get(`count/${answer}`);
      expect([again.cookies, repository.calls, again.headers.get('vary')]).toEqual([
        [],
        ['read', 'update'],
        expect.stringMatching(/cookie/i),
      ]);
      if (answer === 'answered') expect(again.text).toBe('by the middleware');
      expect((await browser.get('read')).json).toMatchObject({ n: 2 });
    });

    it.each(['log-in', 'set-principal'])("gets a new id by '%s', and the old one is dead", async (task) => {
      const browser = await start(variant);
      await browser.get('count/unused');
      const before = browser.clone();
      expect((await browser.get(`${task}/unused`)).cookies).toHaveLength(1);
      expect((await browser.get('read')).json).toEqual({ n: 1, principal: 'ada' });
      expect((await before.get('read')).json).toEqual({ n: 0, principal: null });
    });

    it('is gone by destroy()', async () => {
      const browser = await start(variant);
      await browser.get('count/unused');
      const before = browser.clone();
      await browser.get('destroy/unused');
      expect(browser.jar.size).toBe(0);
      expect((await before.get('read')).json).toEqual({ n: 0, principal: null });
    });

    it.each(['unused', 'missing', 'answered'])('and that cannot be saved is an error for the client: %s', async (answer) => {
      const browser = await start(variant);
      repository.broken.add('create');
      const { status, text, cookies } = await browser.get(`count/${answer}`);
      repository.broken.clear();
      expect([status, cookies]).toEqual([503, []]);
      expect(text).not.toMatch(/fire|middleware/);
    });
  });

  describe('one request has one session:', () => {
    it.each<[string, (request: Request) => unknown]>([
      ['where a middleware replaces the headers', (request) => (request.headers = { ...request.headers })],
      ['where a middleware looks through a proxy', (request) => current.sessions!.load(new Proxy(request, {}))],
    ])('%s', async (_what, meddle) => {
      const browser = await start({
        configure: (app) => {
          app.use(async (request: Request, _response: unknown, proceed: Next) => {
            const first = await current.sessions!.load(new Proxy(request, {}));
            await meddle(request);
            const second = await current.sessions!.load(request);
            first.set('n', first.get('n', 0) + 1);
            proceed(first === second ? undefined : new Error('two sessions'));
          });
        },
      });
      expect((await browser.get('x/used')).text).toBe('1');
      expect((await browser.get('x/used')).text).toBe('2');
      expect((await browser.get('x/unused')).text).toBe('unused');
      expect((await browser.get('read')).json).toMatchObject({ n: 4 });
    });

    if (adapter === 'express') {
      const legacy = express();
      legacy.get('/count', (request, response, proceed) => {
        current.sessions!.load(request).then((session) => {
          session.set('n', session.get('n', 0) + 1);
          response.json({ n: session.get('n'), same: (request as { session?: unknown }).session === session });
        }, proceed);
      });

      it.each<[string, (app: { use: (...args: unknown[]) => unknown }) => void]>([
        ['mounted', (app) => void app.use('/legacy', legacy)],
        [
          'called as a function',
          (app) =>
            void app.use('/legacy', (request: express.Request, response: express.Response, proceed: express.NextFunction) => {
              legacy(request, response, proceed);
            }),
        ],
      ])('in an Express application that is %s', async (_how, mount) => {
        const browser = await start({
          configure: (app) => {
            app.use(async (request: Request, _response: unknown, proceed: Next) => {
              (await current.sessions!.load(request)).set('before', true);
              proceed();
            });
            mount(app);
          },
        });
        expect((await browser.get('legacy/count')).json).toEqual({ n: 1, same: true });
        expect((await browser.get('legacy/count')).json).toEqual({ n: 2, same: true });
        expect((await browser.get('read')).json).toMatchObject({ n: 2 });
      });
    }
  });

  it('req.session = null ends the session with the request', async () => {
    const browser = await start({
      configure: (app) =>
        void app.use((request: Request & { method: string }, response: ServerResponse, proceed: Next) => {
          if (request.method !== 'POST') return middleware(request, response, proceed);
          current.sessions!.load(request).then(() => {
            Object.assign(request, { session: null });
            proceed();
          }, proceed);
        }),
    });
    await browser.get('count/unused');
    const before = browser.clone();
    const { cookies } = await browser.post('end');
    expect(cookies).toEqual([expect.objectContaining({ name: 'session', value: '', maxAge: 0 })]);
    expect((await before.get('read')).json).toMatchObject({ n: 0 });
  });
});
