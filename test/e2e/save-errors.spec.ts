import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  type ArgumentsHost,
  type CallHandler,
  Catch,
  Controller,
  type ExceptionFilter,
  type ExecutionContext,
  ForbiddenException,
  Get,
  type INestApplication,
  type NestInterceptor,
  Req,
  Res,
  Sse,
  UseFilters,
  UseGuards,
  UseInterceptors,
} from '@nestjs/common';
import { APP_FILTER, APP_INTERCEPTOR } from '@nestjs/core';
import type { ServerResponse } from 'node:http';
import { catchError, of, throwError } from 'rxjs';
import { type ServerSession, Session, SessionService, SessionStoreError } from 'nestjs-server-session';
import { APPLICATIONS, type RunningApplication, startApplication } from './application.js';
import { Browser } from './browser.js';
import { RecordingRepository } from './recording.repository.js';

type Reply = ServerResponse & { raw?: ServerResponse; status(code: number): Reply; send(body: unknown): void };

/** Who saw an error, in order. */
let seen: string[] = [];

/** Notes the error and passes it on. */
class Noting implements NestInterceptor, ExceptionFilter {
  constructor(
    private readonly name: string,
    private readonly answers = false,
  ) {}

  intercept(_context: ExecutionContext, next: CallHandler) {
    return next.handle().pipe(
      catchError((error: Error) => {
        seen.push(`${this.name} interceptor: ${error.name}`);
        return throwError(() => error);
      }),
    );
  }

  catch(error: Error, host: ArgumentsHost): void {
    seen.push(`${this.name} filter: ${error.name}`);
    if (this.answers) host.switchToHttp().getResponse<Reply>().status(503).send(`by the ${this.name} filter`);
  }
}

@Catch(SessionStoreError)
class MethodFilter extends Noting {
  constructor() {
    super('method', true);
  }
}
@Catch(SessionStoreError)
class ControllerFilter extends Noting {
  constructor() {
    super('controller', true);
  }
}
@Catch()
class ApplicationFilter extends Noting {
  constructor() {
    super('application', true);
  }
}

const begin = (session: ServerSession): void => void session.set('n', 1);

@Controller('filtered')
@UseFilters(ControllerFilter)
@UseInterceptors(new Noting('controller'))
class FilteredController {
  @Get('value') value(@Session() session: ServerSession): string {
    begin(session);
    return 'saved';
  }
  @Get('request') request(@Req() request: { session: ServerSession }): string {
    begin(request.session);
    return 'saved';
  }
  @Get('method') @UseFilters(MethodFilter) @UseInterceptors(new Noting('method')) method(@Session() session: ServerSession): string {
    begin(session);
    return 'saved';
  }
  @Get('stream') stream(@Session() session: ServerSession): unknown {
    begin(session);
    return of('a', 'b');
  }
  @Get('throws') throws(@Session() session: ServerSession): never {
    begin(session);
    throw new ForbiddenException();
  }
}

@Controller('plain')
class PlainController {
  @Get('value') value(@Session() session: ServerSession): string {
    begin(session);
    return 'saved';
  }
  @Get('passthrough') passthrough(@Session() session: ServerSession, @Res({ passthrough: true }) _reply: Reply): string {
    begin(session);
    return 'saved';
  }
  @Get('send') send(@Session() session: ServerSession, @Res() reply: Reply): void {
    begin(session);
    reply.send('saved');
  }
  @Get('send-and-throw') sendAndThrow(@Session() session: ServerSession, @Res() reply: Reply): void {
    begin(session);
    reply.send('saved');
    throw new Error('after the answer');
  }
  @Get('guarded')
  @UseGuards({ canActivate: (context: ExecutionContext) => refuse(context) })
  guarded(): string {
    return 'never';
  }
  @Sse('sse') sse(@Session() session: ServerSession): unknown {
    begin(session);
    return of({ data: 'x' });
  }
}

let app: INestApplication;

async function refuse(context: ExecutionContext): Promise<boolean> {
  begin(await app.get(SessionService).load(context));
  return false;
}

describe.each(APPLICATIONS)('On %s by %s, an error of a save', (adapter, boot) => {
  const repository = new RecordingRepository();
  let running: RunningApplication;
  let browser: Browser;

  const start = async (providers: NonNullable<Parameters<typeof startApplication>[0]['providers']>): Promise<void> => {
    running = await startApplication({
      adapter,
      boot,
      session: { repository },
      controllers: [FilteredController, PlainController],
      providers,
    });
    ({ app } = running);
    browser = new Browser(running.url);
    repository.broken.add('create');
    seen = [];
  };
  beforeEach(() =>
    start([
      { provide: APP_INTERCEPTOR, useValue: new Noting('application') },
      { provide: APP_FILTER, useClass: ApplicationFilter },
    ]),
  );
  afterEach(async () => {
    repository.broken.clear();
    await running.close();
  });

  it.each(['value', 'request', 'stream', 'throws'])(
    'is seen by the interceptors around the handler, then by the filter of its controller: %s',
    async (path) => {
      const { status, text, cookies } = await browser.get(`filtered/${path}`);
      expect([status, text, cookies]).toEqual([503, 'by the controller filter', []]);
      expect(seen).toEqual([
        'controller interceptor: SessionStoreError',
        'application interceptor: SessionStoreError',
        'controller filter: SessionStoreError',
      ]);
    },
  );

  it('goes to the filter of the method first', async () => {
    expect((await browser.get('filtered/method')).text).toBe('by the method filter');
    expect(seen.at(-1)).toBe('method filter: SessionStoreError');
  });

  it.each(['value', 'passthrough', 'send', 'guarded'])('goes to the filters of the application: %s', async (path) => {
    const { status, text, cookies } = await browser.get(`plain/${path}`);
    expect([status, text, cookies]).toEqual([503, 'by the application filter', []]);
    expect(seen.at(-1)).toBe('application filter: SessionStoreError');
  });

  it('of server-sent events is no event, and its message does not reach the client', async () => {
    const answer = await browser.get('plain/sse', { accept: 'text/event-stream' }).catch(() => undefined);
    expect(answer?.text ?? '').not.toMatch(/data:|store|fire/);
    expect(answer?.cookies ?? []).toEqual([]);
  });

  it.each(['value', 'send', 'guarded', 'sse'])('is a 503 without our message where the application has no filter: %s', async (path) => {
    await running.close();
    await start([]);
    const { status, text } = await browser.get(`plain/${path}`);
    expect([status, text]).toEqual([503, expect.not.stringMatching(/store|fire/)]);
  });

  it('a handler that answers and then throws has answered once', async () => {
    repository.broken.clear();
    repository.latency = 20;
    const { status, text, cookies } = await browser.get('plain/send-and-throw');
    repository.latency = 0;
    expect([status, text, cookies.length]).toEqual([200, 'saved', 1]);
  });
});
