import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import {
  type CallHandler,
  type CanActivate,
  Controller,
  type ExecutionContext,
  ForbiddenException,
  Get,
  Injectable,
  Logger,
  type NestInterceptor,
  ParseIntPipe,
  type PipeTransform,
  Query,
  Redirect,
  Req,
  Res,
  Session as NestSession,
  Sse,
  StreamableFile,
  UseGuards,
  UseInterceptors,
} from '@nestjs/common';
import type { ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { finalize, interval, map, NEVER, type Observable, of, startWith, take, timeout, timer } from 'rxjs';
import { type ServerSession, Session, SessionService } from 'nestjs-server-session';
import { APPLICATIONS, type RunningApplication, startApplication } from './application.js';
import { Browser } from './browser.js';
import { RecordingRepository } from './recording.repository.js';
import { eventually } from '../support/eventually.js';

declare module 'nestjs-server-session' {
  interface SessionData {
    n?: number;
    late?: boolean;
  }
}

/** Express' response and Fastify's reply, as far as these handlers use them. */
type Reply = ServerResponse & { raw?: ServerResponse; hijack?: () => void; send(body: string): void };

const count = (session: ServerSession): number => (session.n = (session.n ?? 0) + 1);

function rawOf(reply: Reply): ServerResponse {
  reply.hijack?.();
  return reply.raw ?? reply;
}

@Injectable()
class RefusingGuard implements CanActivate {
  constructor(private readonly sessions: SessionService) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    count(await this.sessions.load(context));
    throw new ForbiddenException();
  }
}

@Injectable()
class CountingGuard implements CanActivate {
  constructor(private readonly sessions: SessionService) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    count(await this.sessions.load(context));
    return true;
  }
}

/** Changes the session as a parameter is looked up, beside another parameter that is refused. */
class CountingPipe implements PipeTransform {
  transform(session: ServerSession): ServerSession {
    count(session);
    return session;
  }
}

/** Loads the session for pages that do not exist. */
function countMissing(request: { url: string; originalUrl?: string }, _response: unknown, proceed: () => void): void {
  if (!(request.originalUrl ?? request.url).startsWith('/missing')) return proceed();
  void missing
    .sessions!.load(request)
    .then(count)
    .then(() => proceed());
}
const missing: { sessions?: SessionService } = {};

@Controller()
class WaysController {
  @Get('unused') unused(): string {
    return 'ok';
  }
  @Get('read') read(@Session() session: ServerSession): unknown {
    return { n: session.n ?? null, late: session.late ?? null };
  }
  @Get('value') value(@Session() session: ServerSession): number {
    return count(session);
  }
  @Get('one') one(@Session('n') n = 0): number {
    return n;
  }
  @Get('undefined') nothing(@Session() session: ServerSession): void {
    count(session);
  }
  @Get('promise') async promise(@Session() session: ServerSession): Promise<number> {
    await sleep(1);
    return count(session);
  }
  @Get('observable') observable(@Session() session: ServerSession): unknown {
    return of(1, 2, 3).pipe(map(() => count(session)));
  }
  @Get('generator') async *generator(@Session() session: ServerSession): AsyncGenerator<string> {
    yield String(count(session));
    await sleep(1);
    yield '!';
  }
  @Get('redirect') @Redirect('/read') redirect(@Session() session: ServerSession): void {
    count(session);
  }
  @Get('file') file(@Session() session: ServerSession): StreamableFile {
    return new StreamableFile(Readable.from([String(count(session))]));
  }
  @Get('passthrough') passthrough(@Session() session: ServerSession, @Res({ passthrough: true }) reply: Reply): number {
    (reply.raw ?? reply).setHeader('x-passed', 'through');
    return count(session);
  }
  @Get('send') send(@Session() session: ServerSession, @Res() reply: Reply): void {
    reply.send(String(count(session)));
  }
  @Get('send-late') async sendLate(@Session() session: ServerSession, @Res() reply: Reply): Promise<void> {
    await sleep(2);
    reply.send(String(count(session)));
  }
  @Get('stream') stream(@Session() session: ServerSession, @Res() reply: Reply): void {
    const raw = rawOf(reply);
    count(session);
    raw.writeHead(200, { 'content-type': 'text/plain', 'set-cookie': 'other=1', vary: 'Accept' });
    raw.write('a');
    setTimeout(() => {
      session.late = true;
      raw.end('b');
    }, 10);
  }
  @Get('implicit-head') implicitHead(@Session() session: ServerSession, @Res() reply: Reply): void {
    const raw = rawOf(reply);
    raw.setHeader('set-cookie', 'other=1');
    count(session);
    raw.write('a');
    raw.end('b');
  }
  @Get('flush') flush(@Session() session: ServerSession, @Res() reply: Reply): void {
    const raw = rawOf(reply);
    count(session);
    raw.flushHeaders();
    raw.end('flushed');
  }
  @Get('pipe') pipe(@Session() session: ServerSession, @Res() reply: Reply): void {
    count(session);
    Readable.from(['a', 'b']).pipe(rawOf(reply));
  }
  @Sse('sse') sse(@Session() session: ServerSession): unknown {
    count(session);
    return interval(5).pipe(
      take(3),
      map((data) => {
        session.late = true;
        return { data: String(data) };
      }),
    );
  }
  @Sse('sse-slow') async slowSse(@Session() session: ServerSession): Promise<unknown> {
    await sleep(30);
    count(session);
    return of({ data: 'x' });
  }
  @Sse('sse-late') lateSse(@Session() session: ServerSession): unknown {
    return timer(20).pipe(map(() => ({ data: String(count(session)) })));
  }
  @Sse('sse-guarded') @UseGuards(CountingGuard) sseGuarded(): unknown {
    return of({ data: 'x' });
  }
  @Sse('sse-endless') endlessSse(@Session() session: ServerSession): unknown {
    count(session);
    return NEVER.pipe(startWith({ data: 'x' }));
  }
  @Get('throw') throws(@Session() session: ServerSession): never {
    count(session);
    throw new Error('handler');
  }
  @Get('reject') async rejects(@Session() session: ServerSession): Promise<never> {
    count(session);
    await sleep(1);
    throw new ForbiddenException();
  }
  @Get('pipe-rejects') pipeRejects(@Session(CountingPipe) _session: ServerSession, @Query('n', ParseIntPipe) n: number): number {
    return n;
  }
  @Get('guarded') @UseGuards(RefusingGuard) guarded(): string {
    return 'never';
  }
  @Get('nest') nest(@NestSession() session: ServerSession): number {
    return count(session);
  }
  @Get('req') req(@Req() request: { session: ServerSession }, @NestSession() session: ServerSession): number {
    expect(request.session).toBe(session);
    return count(request.session);
  }
  @Get('slow') async slow(@Session() session: ServerSession): Promise<string> {
    count(session);
    await sleep(50);
    return 'slow';
  }
}

const STATUS: Record<string, number> = { redirect: 302, throw: 500, reject: 403, 'pipe-rejects': 400, guarded: 403, missing: 404 };

const WAYS = [
  'value',
  'undefined',
  'promise',
  'observable',
  'generator',
  'redirect',
  'file',
  'passthrough',
  'send',
  'send-late',
  'stream',
  'implicit-head',
  'flush',
  'pipe',
  'sse',
  'sse-slow',
  'sse-guarded',
  'throw',
  'reject',
  'pipe-rejects',
  'guarded',
  'missing',
  'nest',
  'req',
];

describe.each(APPLICATIONS)('On %s by %s,', (adapter, boot) => {
  const repository = new RecordingRepository();
  let running: RunningApplication;
  let browser: Browser;

  beforeAll(async () => {
    running = await startApplication({
      adapter,
      boot,
      session: { repository },
      controllers: [WaysController],
      providers: [RefusingGuard, CountingGuard],
      configure: (app) => {
        missing.sessions = app.get(SessionService);
        app.use(countMissing);
      },
    });
  });
  afterAll(() => running.close());

  describe.each(WAYS)("a response by '%s'", (path) => {
    it('carries the cookie and has ended only after the save', async () => {
      browser = new Browser(running.url);
      repository.latency = 15;
      const first = await browser.get(path);
      expect(first.status).toBe(STATUS[path] ?? 200);
      expect(browser.jar.has('session')).toBe(true);
      expect(repository.underWay).toBe(0);
      repository.latency = 0;
      expect((await browser.get('read')).json).toMatchObject({ n: path === 'observable' ? 3 : 1 });
    });

    it('changes a stored session, sets no cookie again, and says on what it depends', async () => {
      const { n } = (await browser.get('read')).json as { n: number };
      repository.calls = [];
      const second = await browser.get(path);
      expect(repository.calls.filter((call) => call !== 'update')).toEqual(['read']);
      expect(second.cookies.filter(({ name }) => name === 'session')).toEqual([]);
      expect(second.headers.get('vary')).toMatch(/cookie/i);
      expect((await browser.get('read')).json).toMatchObject({ n: path === 'observable' ? n * 2 : n + 1 });
    });
  });

  it('a stream keeps what was changed while it ran', async () => {
    for (const path of ['stream', 'sse']) {
      browser = new Browser(running.url);
      await browser.get(path);
      expect((await browser.get('read')).json).toMatchObject({ late: true });
    }
  });

  it('other cookies and Vary fields of the application stay', async () => {
    browser = new Browser(running.url);
    const { headers, cookies } = await browser.get('stream');
    expect(cookies.map(({ name }) => name).sort()).toEqual(['other', 'session']);
    expect(headers.get('vary')).toBe('Accept, Cookie');
    expect((await new Browser(running.url).get('implicit-head')).cookies.map(({ name }) => name)).toEqual(['other', 'session']);
  });

  it('one value can be injected by its key', async () => {
    browser = new Browser(running.url);
    expect((await browser.get('one')).text).toBe('0');
    await browser.get('value');
    expect((await browser.get('one')).text).toBe('1');
  });

  it('server-sent events that begin a session too late say so in the log, and set no cookie', async () => {
    browser = new Browser(running.url);
    const logged = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    expect((await browser.get('sse-late')).cookies).toEqual([]);
    const lines = logged.mock.calls.map(([line]) => String(line));
    logged.mockRestore();
    expect(lines).toEqual([expect.stringMatching(/session began after/)]);
  });

  it('a HEAD request is like a GET', async () => {
    browser = new Browser(running.url);
    expect((await browser.request('HEAD', 'value')).status).toBe(200);
    expect((await browser.get('read')).json).toMatchObject({ n: 1 });
  });

  it('a request that does not use the session costs the store nothing and says nothing of cookies', async () => {
    browser = new Browser(running.url);
    await browser.get('value');
    repository.calls = [];
    for (const path of ['unused', 'no-such-page']) {
      const { headers, cookies } = await browser.get(path);
      expect([cookies, headers.get('vary') ?? '']).toEqual([[], expect.not.stringMatching(/cookie/i)]);
    }
    expect(repository.calls).toEqual([]);
  });

  it('an anonymous request that only reads creates nothing: no record, no cookie', async () => {
    repository.calls = [];
    const { cookies, headers } = await new Browser(running.url).get('read');
    expect([cookies, repository.calls]).toEqual([[], []]);
    expect(headers.get('vary')).toMatch(/cookie/i);
  });

  it.each(['slow', 'sse-endless'])("a client that leaves during '%s' loses no change", async (path) => {
    browser = new Browser(running.url);
    await browser.get('value');
    const controller = new AbortController();
    const request = fetch(new URL(path, running.url), { headers: { cookie: browser.cookieHeader }, signal: controller.signal });
    await Promise.race([request.then((response) => response.body?.getReader().read()), sleep(25)]);
    controller.abort();
    await request.catch(() => undefined);
    await eventually(async () => expect((await browser.get('read')).json).toMatchObject({ n: 2 }), 1000);
  });

  it('answers pipelined requests of one connection in order', async () => {
    const { hostname, port } = new URL(running.url);
    const socket = connect(Number(port), hostname);
    const lines = ['value', 'unused', 'value'].map((path) => `GET /${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
    socket.write(lines.join('') + 'GET /unused HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    const text = await new Response(Readable.toWeb(socket) as ReadableStream).text();
    expect(text.match(/HTTP\/1.1 200/g)).toHaveLength(4);
    expect(text.match(/^set-cookie: session=/gim)).toHaveLength(2);
  });
});

/** Waits for no handler longer than this. */
class ImpatientInterceptor implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(timeout(20));
  }
}

@Controller()
@UseInterceptors(ImpatientInterceptor)
class EndlessController {
  static stopped = 0;

  @Get('read') read(@Session() session: ServerSession): number {
    return session.n ?? 0;
  }
  @Get('endless') endless(@Session() session: ServerSession): Observable<never> {
    count(session);
    return NEVER.pipe(finalize(() => void EndlessController.stopped++));
  }
}

describe.each(APPLICATIONS)('On %s by %s, a handler that an interceptor waits for no longer', (adapter, boot) => {
  it('is stopped, and keeps what it has changed', async () => {
    const running = await startApplication({ adapter, boot, controllers: [EndlessController] });
    const visitor = new Browser(running.url);
    EndlessController.stopped = 0;
    expect((await visitor.get('endless')).status).toBe(500);
    expect([EndlessController.stopped, (await visitor.get('read')).text]).toEqual([1, '1']);
    await running.close();
  });
});
