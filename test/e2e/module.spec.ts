import { describe, expect, it, jest } from '@jest/globals';
import {
  Controller,
  type DynamicModule,
  Get,
  Injectable,
  Logger,
  type MiddlewareConsumer,
  Module,
  type NestModule,
  Req,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExecutionContextHost } from '@nestjs/core/helpers/execution-context-host.js';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { map } from 'rxjs';
import {
  MissingPackageError,
  NullSessionError,
  type ServerSession,
  ServerSessionModule,
  type ServerSessionOptions,
  type ServerSessionOptionsFactory,
  Session,
  SessionRepository,
  SessionService,
  UseSession,
} from 'nestjs-server-session';
import { ADAPTERS, startApplication } from './application.js';
import { Browser } from './browser.js';
import { RecordingRepository } from './recording.repository.js';

@Controller()
class CountController {
  @Get('count') count(@Session() session: ServerSession): number {
    session.set('n', session.get('n', 0) + 1);
    return session.get('n', 0);
  }
  @Get('read') read(@Session() session: ServerSession): unknown {
    return { n: session.get('n', null) };
  }
  @Get('write-null') writeNull(@Session() session: ServerSession): string {
    try {
      session.set('n', 1);
      return 'written';
    } catch (error) {
      return error instanceof NullSessionError ? error.message : 'another error';
    }
  }
}

@Injectable()
class OptionsFactory implements ServerSessionOptionsFactory {
  createServerSessionOptions(): ServerSessionOptions {
    return { type: 'memory' };
  }
}

@Module({ providers: [OptionsFactory], exports: [OptionsFactory] })
class OptionsModule {}

async function countTwice(session: DynamicModule): Promise<string> {
  const module = await Test.createTestingModule({ imports: [session], controllers: [CountController] }).compile();
  const app = module.createNestApplication({ logger: false });
  await app.listen(0, '127.0.0.1');
  try {
    const browser = new Browser(await app.getUrl());
    await browser.get('count');
    return (await browser.get('count')).text;
  } finally {
    await app.close();
  }
}

describe('ServerSessionModule', () => {
  it('takes options by forRoot', async () => {
    expect(await countTwice(ServerSessionModule.forRoot({ type: 'memory' }))).toBe('2');
  });

  it.each<[string, DynamicModule]>([
    [
      'useFactory',
      ServerSessionModule.forRootAsync({
        imports: [OptionsModule],
        inject: [OptionsFactory],
        useFactory: async (factory: OptionsFactory) => factory.createServerSessionOptions(),
      }),
    ],
    ['useClass', ServerSessionModule.forRootAsync({ useClass: OptionsFactory })],
    ['useExisting', ServerSessionModule.forRootAsync({ imports: [OptionsModule], useExisting: OptionsFactory })],
  ])('takes options by forRootAsync with %s', async (_how, session) => {
    expect(await countTwice(session)).toBe('2');
  });

  it('is global unless told otherwise', async () => {
    @Module({
      providers: [{ provide: 'inner', inject: [SessionService, SessionRepository], useFactory: (service: SessionService) => service }],
    })
    class InnerModule {}
    const compile = (isGlobal?: boolean): Promise<unknown> =>
      Test.createTestingModule({
        imports: [ServerSessionModule.forRoot({ type: 'memory', ...(isGlobal === undefined ? {} : { isGlobal }) }), InnerModule],
      })
        .compile()
        .then((module) => module.close());
    await expect(compile()).resolves.toBeUndefined();
    await expect(compile(false)).rejects.toThrow(/SessionService/);
  });

  it('takes a repository of your own, as an instance or as a class with dependencies', async () => {
    const repository = new RecordingRepository();
    expect(await countTwice(ServerSessionModule.forRoot({ repository }))).toBe('2');
    expect(repository.calls).toEqual(['create', 'read', 'update']);
    expect(await countTwice(ServerSessionModule.forRoot({ repository: RecordingRepository }))).toBe('2');
  });

  it('fails at boot with every wrong option in one message', async () => {
    const wrong = { type: 'rediss', lifetime: 'soon', useSigner: true, cookie: { sameSite: 'none', size: 3 }, redis: { url: 'http://x' } };
    const boot = Test.createTestingModule({ imports: [ServerSessionModule.forRoot(wrong as ServerSessionOptions)] }).compile();
    const message = await boot.then(
      () => 'it booted',
      (error: Error) => error.message,
    );
    for (const part of [
      '[ServerSession]',
      "'type' is 'rediss'",
      "'lifetime' is 'soon'",
      "'secret' is undefined",
      "'cookie.secure' is 'auto'",
      "'cookie.size' is not an option",
      "'redis.url' is 'http://",
    ]) {
      expect(message).toContain(part);
    }
  });

  it('is refused a second time in one application, by a message that says where', async () => {
    @Module({ imports: [ServerSessionModule.forRoot({ type: 'memory', cookie: { name: 'other' } })] })
    class CartModule {}
    @Module({ imports: [ServerSessionModule.forRoot({ type: 'memory' }), CartModule] })
    class TwiceModule {}
    for (const boot of [
      () => Test.createTestingModule({ imports: [TwiceModule] }).compile(),
      () => NestFactory.create(TwiceModule, { logger: false, abortOnError: false }),
    ]) {
      await expect(boot()).rejects.toThrow(/ServerSessionModule is registered 2 times.*CartModule.*allowed: once in an application/s);
    }
  });

  it('may be in two applications of one process, each with its own sessions', async () => {
    const [one, two] = [
      await startApplication({ adapter: 'express', controllers: [CountController] }),
      await startApplication({ adapter: 'fastify', controllers: [CountController], session: { type: 'memory', cookie: { name: 'two' } } }),
    ];
    for (const [running, name] of [
      [one, 'session'],
      [two, 'two'],
    ] as const) {
      const browser = new Browser(running.url);
      await browser.get('count');
      expect([(await browser.get('count')).text, [...browser.jar.keys()]]).toEqual(['2', [name]]);
      await running.close();
    }
  });

  it('says what was given to load() where that is no request', async () => {
    const running = await startApplication({ adapter: 'express' });
    const service = running.app.get(SessionService);
    for (const [given, named] of [
      [undefined, 'undefined'],
      [null, 'null'],
      ['a string', "'a string'"],
      [{}, 'an object of Object without headers'],
      [new Map(), 'an object of Map without headers'],
    ] as const) {
      await expect(service.load(given as unknown as object)).rejects.toThrow(
        new TypeError(`[ServerSession] load() needs a request or an execution context, and was given ${named}`),
      );
    }
    const context = new ExecutionContextHost([{ data: 1 }, {}], CountController, CountController.prototype.count);
    context.setType('rpc');
    await expect(service.load(context)).rejects.toThrow("the 'rpc' context of CountController.count has no request");
    await running.close();
  });

  it('is missed with an error that says so, where a handler uses the session without it', async () => {
    const lines: string[] = [];
    const logged = jest.spyOn(Logger.prototype, 'error').mockImplementation((line: unknown) => void lines.push(String(line)));
    const module = await Test.createTestingModule({ controllers: [CountController] }).compile();
    const app = module.createNestApplication();
    app.useLogger(false);
    await app.listen(0, '127.0.0.1');
    expect((await new Browser(await app.getUrl()).get('count')).status).toBe(500);
    await app.close();
    logged.mockRestore();
    expect(lines).toEqual([
      expect.stringMatching(/CountController.count uses the session, but its application does not import ServerSessionModule/),
    ]);
  });

  it('is not needed in a unit test of a controller', async () => {
    const module = await Test.createTestingModule({ controllers: [CountController] }).compile();
    const session = new Map([['n', 1]]) as unknown as ServerSession;
    expect(module.get(CountController).count(session)).toBe(2);
  });

  it('without a type the session reads as empty, and a write names the option to set', async () => {
    const running = await startApplication({ adapter: 'express', session: {}, controllers: [CountController] });
    const browser = new Browser(running.url);
    expect((await browser.get('read')).json).toEqual({ n: null });
    expect((await browser.get('write-null')).text).toMatch(/^\[ServerSession\].*'type'/);
    expect(browser.jar.size).toBe(0);
    await running.close();
  });

  it('names the package to install', () => {
    expect(new MissingPackageError("type 'redis'", 'ioredis').message).toContain('npm install ioredis');
  });
});

describe.each(ADAPTERS)('On %s,', (adapter) => {
  it('middleware, guards and handlers share one session, loaded once', async () => {
    const repository = new RecordingRepository();

    @Controller()
    class SharedController {
      constructor(private readonly sessions: SessionService) {}
      @Get('shared') async shared(
        @Session() session: ServerSession,
        @Req() request: { session: unknown; raw?: { session: unknown } },
      ): Promise<unknown> {
        const again = await this.sessions.load(request);
        return [session === request.session, session === again, session.get('by'), request.raw ? request.raw.session === session : true];
      }
      @Get('late') async late(@Req() request: object): Promise<unknown> {
        const session = await this.sessions.load(request);
        session.set('late', true);
        return session.get('by');
      }
    }

    @Module({ imports: [ServerSessionModule.forRoot({ repository })], controllers: [SharedController] })
    class SharedModule implements NestModule {
      constructor(private readonly sessions: SessionService) {}
      configure(consumer: MiddlewareConsumer): void {
        consumer
          .apply(async (request: object, _response: object, next: () => void) => {
            (await this.sessions.load(request)).set('by', 'middleware');
            next();
          })
          .forRoutes('*path');
      }
    }

    const module = await Test.createTestingModule({ imports: [SharedModule] }).compile();
    const app = adapter === 'fastify' ? module.createNestApplication(new FastifyAdapter()) : module.createNestApplication();
    app.useLogger(false);
    await app.listen(0, '127.0.0.1');
    const browser = new Browser(await app.getUrl());
    expect((await browser.get('shared')).json).toEqual([true, true, 'middleware', true]);
    repository.calls = [];
    expect((await browser.get('shared')).json).toEqual([true, true, 'middleware', true]);
    expect(repository.calls).toEqual(['read']);
    expect((await browser.get('late')).text).toBe('middleware');
    expect(repository.calls).toEqual(['read', 'read', 'update']);
    expect((await new Browser(browser.url).get('no-such-page')).cookies).toHaveLength(1);
    await app.close();
  });

  it('a change by an outer interceptor or a late one is saved too', async () => {
    @Controller()
    class PlainController {
      @Get('outer') @UseSession() outer(): string {
        return 'ok';
      }
      @Get('off') @UseSession(false) off(@Req() request: { session?: ServerSession }): string {
        return String(request.session);
      }
      @Get('read') read(@Session() session: ServerSession): unknown {
        return { outer: session.get('outer', null) };
      }
    }
    const running = await startApplication({
      adapter,
      controllers: [PlainController],
      build: (builder) => builder,
      configure: (app) =>
        app.useGlobalInterceptors({
          intercept: (context, next) =>
            next.handle().pipe(
              map((value: unknown) => {
                const { session } = context.switchToHttp().getRequest<{ session?: ServerSession }>();
                session?.set('outer', true);
                return value;
              }),
            ),
        }),
    });
    const browser = new Browser(running.url);
    await browser.get('outer');
    expect((await browser.get('read')).json).toEqual({ outer: true });
    expect((await browser.get('off')).text).toBe('undefined');
    await running.close();
  });
});
