// A process of its own, because Jest lets these packages, which are CommonJS, require no ES module, and Nest 12 is one.
// Prints what its applications answered, as JSON.
import { Controller, type ExecutionContext, HttpCode, Injectable, Module, type ModuleMetadata, Post } from '@nestjs/common';
import { APP_GUARD, NestFactory } from '@nestjs/core';
import { ThrottlerGuard, ThrottlerModule } from '@nestjs/throttler';
import type { Request } from 'express';
import { Writable } from 'node:stream';
import { ClsModule, type ClsModuleOptions, ClsService } from 'nestjs-cls';
import { LoggerModule } from 'nestjs-pino';
import { type ServerSession, ServerSessionModule, Session, SessionService } from '../../../lib/index.js';
import { Browser } from '../../e2e/browser.js';

@Controller()
class VisitController {
  @HttpCode(200) @Post('visit') visit(@Session() session: ServerSession): number {
    return count(session);
  }
}

function count(session: ServerSession): number {
  session.set('visits', session.get<number>('visits', 0) + 1);
  return session.get('visits', 0);
}

async function withApplication<T>(metadata: ModuleMetadata, use: (browser: Browser) => Promise<T>): Promise<T> {
  @Module({ ...metadata, imports: [ServerSessionModule.forRoot({ type: 'memory' }), ...(metadata.imports ?? [])] })
  class AppModule {}
  const app = await NestFactory.create(AppModule, { logger: false });
  await app.listen(0, '127.0.0.1');
  try {
    return await use(new Browser(await app.getUrl()));
  } finally {
    await app.close();
  }
}

@Injectable()
class Visits {
  constructor(private readonly cls: ClsService) {}

  count(): number {
    return count(this.cls.get<ServerSession>('session'));
  }
}

@Controller()
class ClsController {
  constructor(private readonly visits: Visits) {}

  @HttpCode(200) @Post('visit') async visit(@Session() _session: ServerSession): Promise<number> {
    await Promise.resolve();
    return this.visits.count();
  }
}

function clsAnswers(optionsOf: (sessions: SessionService) => ClsModuleOptions): Promise<string[]> {
  const module = ClsModule.forRootAsync({ inject: [SessionService], useFactory: optionsOf });
  return withApplication({ imports: [module], controllers: [ClsController], providers: [Visits] }, async (browser) => {
    const first = await browser.post('visit');
    const others = await Promise.all([1, 2, 3].map(() => new Browser(browser.url).post('visit')));
    return [first, ...others, await browser.post('visit')].map(({ text }) => text);
  });
}

const fromContext = (sessions: SessionService) => async (store: ClsService, context: ExecutionContext) =>
  store.set('session', await sessions.load(context));
const fromRequest = (sessions: SessionService) => async (store: ClsService, request: Request) =>
  store.set('session', await sessions.load(request));

function throttler(): Promise<number[]> {
  const module = ThrottlerModule.forRootAsync({
    inject: [SessionService],
    useFactory: (sessions: SessionService) => ({
      throttlers: [{ limit: 2, ttl: 600_000 }],
      getTracker: async (request, context) => {
        const session = await sessions.load(context);
        return session.isNew ? String(request['ip']) : session.handle;
      },
    }),
  });
  const guard = { provide: APP_GUARD, useClass: ThrottlerGuard };
  return withApplication({ imports: [module], providers: [guard], controllers: [VisitController] }, async (ada) => {
    const bob = new Browser(ada.url);
    const answers = [await ada.post('visit'), await bob.post('visit'), await new Browser(ada.url).post('visit')];
    answers.push(await ada.post('visit'), await ada.post('visit'), await ada.post('visit'), await bob.post('visit'));
    return answers.map(({ status }) => status);
  });
}

async function pino(redact?: string[]): Promise<{ completed: number; withId: boolean }> {
  let lines = '';
  const stream = new Writable({
    write(chunk, _encoding, done) {
      lines += String(chunk);
      done();
    },
  });
  const module = LoggerModule.forRoot({ pinoHttp: [redact === undefined ? {} : { redact }, stream] });
  return withApplication({ imports: [module], controllers: [VisitController] }, async (browser) => {
    await browser.post('visit');
    await browser.post('visit');
    const id = browser.jar.get('session') ?? '';
    return { completed: lines.split('request completed').length - 1, withId: id === '' || lines.includes(id) };
  });
}

const REDACTED = ['req.headers.cookie', 'res.headers["set-cookie"]'];

// nestjs-pino has one logger in a process, so that what it logs as it comes is asked of another one.
const answers =
  process.argv[2] === 'pino-as-it-comes'
    ? await pino()
    : {
        cls: {
          middleware: await clsAnswers((sessions) => ({ middleware: { mount: true, setup: fromRequest(sessions) } })),
          guard: await clsAnswers((sessions) => ({ guard: { mount: true, setup: fromContext(sessions) } })),
          interceptor: await clsAnswers((sessions) => ({ interceptor: { mount: true, setup: fromContext(sessions) } })),
        },
        throttler: await throttler(),
        pino: await pino(REDACTED),
      };
process.stdout.write(`${JSON.stringify(answers)}\n`);
