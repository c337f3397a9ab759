import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { ArgumentsHost, Catch, Controller, type ExceptionFilter, Get, Logger, Post, Res, Sse } from '@nestjs/common';
import type { ServerResponse } from 'node:http';
import { concat, map, NEVER, of, timer } from 'rxjs';
import { type ServerSession, type ServerSessionOptions, Session, SessionStoreError } from 'nestjs-server-session';
import { ADAPTERS, type RunningApplication, startApplication } from './application.js';
import { Browser } from './browser.js';
import { RecordingRepository } from './recording.repository.js';
import { eventually } from '../support/eventually.js';

type Reply = ServerResponse & {
  raw?: ServerResponse;
  hijack?: () => void;
  send(body: string): void;
  header(name: string, value: string): void;
};

@Controller()
class StoreController {
  @Get('unused') unused(): string {
    return 'ok';
  }
  @Get('read') read(@Session() session: ServerSession): unknown {
    return { ...session };
  }
  @Get('value') value(@Session() session: ServerSession): string {
    session.set('n', session.get('n', 0) + 1);
    return 'saved';
  }
  @Get('send') send(@Session() session: ServerSession, @Res() reply: Reply): void {
    session.set('n', session.get('n', 0) + 1);
    reply.header('content-disposition', 'attachment');
    reply.header('access-control-allow-origin', '*');
    reply.send('saved');
  }
  @Get('stream') stream(@Session() session: ServerSession, @Res() reply: Reply): void {
    reply.hijack?.();
    const raw = reply.raw ?? reply;
    session.set('n', session.get('n', 0) + 1);
    raw.write('sav');
    raw.end('ed');
  }
  @Get('late-stream') lateStream(@Session() session: ServerSession, @Res() reply: Reply): void {
    reply.hijack?.();
    const raw = reply.raw ?? reply;
    raw.write('sav');
    session.set('n', session.get('n', 0) + 1);
    raw.end('ed');
  }
  @Sse('endless') endless(@Session() session: ServerSession): unknown {
    const change = (): unknown => ({ data: `changed to ${session.set('n', 2).get('n')}` });
    return concat(of({ data: 'first' }), timer(5).pipe(map(change)), NEVER);
  }
  @Get('flashes') flashes(@Session() session: ServerSession): unknown {
    return session.flashes();
  }
  @Sse('sse') sse(@Session() session: ServerSession): unknown {
    session.set('n', session.get('n', 0) + 1);
    return of({ data: 'saved' });
  }
  @Get('throw') throws(@Session() session: ServerSession): never {
    session.set('n', session.get('n', 0) + 1);
    throw new Error('of the handler');
  }
  @Post('destroy') async destroy(@Session() session: ServerSession): Promise<string> {
    await session.destroy();
    return 'destroyed';
  }
  @Post('caught') async caught(@Session() session: ServerSession): Promise<string> {
    session.set('n', 1);
    return session.save().then(
      () => 'saved',
      () => 'caught',
    );
  }
}

@Catch(SessionStoreError)
class StoreErrorFilter implements ExceptionFilter {
  catch(_error: SessionStoreError, host: ArgumentsHost): void {
    const reply = host.switchToHttp().getResponse<Reply & { status(code: number): Reply }>();
    reply.status(503).send('be right back');
  }
}

describe.each(ADAPTERS)('On %s, when the store fails,', (adapter) => {
  let repository: RecordingRepository;
  let running: RunningApplication;
  let browser: Browser;

  const start = async (options: ServerSessionOptions = {}, filters: ExceptionFilter[] = []): Promise<void> => {
    repository = new RecordingRepository();
    running = await startApplication({
      adapter,
      session: { repository, storeTimeout: '500ms', ...options },
      controllers: [StoreController],
      configure: (app) => app.useGlobalFilters(...filters),
    });
    browser = new Browser(running.url);
    await browser.get('value');
  };
  beforeEach(() => start());
  afterEach(() => running.close());

  it.each(['read', 'update'] as const)('a repository whose %s throws instead of rejecting is a store that fails', async (operation) => {
    repository[operation] = () => {
      throw new TypeError('a mistake in the repository');
    };
    expect((await browser.get('value')).status).toBe(503);
    expect((await browser.get('unused')).status).toBe(200);
  });

  it.each(['value', 'send', 'throw'])("a save that fails is an error for the client: '%s'", async (path) => {
    repository.broken.add('update');
    const answer = await browser.get(path);
    expect(answer.status).toBe(503);
    expect(answer.json).toEqual({ statusCode: 503, message: 'Service Unavailable' });
    expect(answer.headers.get('content-disposition')).toBeNull();
    if (path === 'send') expect(answer.headers.get('access-control-allow-origin')).toBe('*');
    expect(answer.cookies).toEqual([]);
    repository.broken.clear();
    expect((await browser.get('read')).json).toEqual({ n: 1 });
  });

  it.each(['value', 'send', 'throw'])("a first save that fails sends no cookie: '%s'", async (path) => {
    repository.broken.add('create');
    const visitor = new Browser(running.url);
    expect((await visitor.get(path)).status).toBe(503);
    expect(visitor.jar.size).toBe(0);
  });

  it('a stream whose first byte waits for the save is an error in its place', async () => {
    repository.broken.add('update');
    const { status, text, cookies } = await browser.get('stream');
    expect([status, text.includes('sav'), cookies]).toEqual([503, false, []]);
  });

  it('a stream that began is cut off, so that it is not taken for complete, and a line in the log says why', async () => {
    const logged = jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
    repository.broken.add('update');
    await expect(browser.get('late-stream')).rejects.toThrow();
    const lines = logged.mock.calls.map(([line]) => String(line));
    logged.mockRestore();
    expect(lines).toEqual([expect.stringMatching(/failed to update a session: the disk is on fire/)]);
  });

  it('a save that fails after the client has left is a line in the log', async () => {
    const logged = jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
    repository.broken.add('update');
    const controller = new AbortController();
    const request = fetch(new URL('endless', running.url), { headers: { cookie: browser.cookieHeader }, signal: controller.signal });
    const reader = (await request).body!.pipeThrough(new TextDecoderStream()).getReader();
    for (let text = ''; !text.includes('changed'); text += (await reader.read()).value ?? '');
    controller.abort();
    await reader.closed.catch(() => undefined);
    await eventually(async () => {
      const lines = logged.mock.calls.map(([line]) => String(line));
      expect(lines).toEqual([expect.stringMatching(/failed to update a session: the disk is on fire/)]);
    });
    logged.mockRestore();
  });

  it('server-sent events are an error or cut off, but no success', async () => {
    repository.broken.add('update');
    const answer = await browser.get('sse', { accept: 'text/event-stream' }).catch(() => undefined);
    expect(answer?.text ?? '').not.toContain('data: saved');
  });

  it.each(['read', 'value', 'send', 'stream', 'sse', 'throw'])(
    "a session that cannot be loaded is a 503, not a new session: '%s'",
    async (path) => {
      repository.broken.add('read');
      const answer = await browser.get(path);
      expect([answer.status, answer.cookies]).toEqual([503, []]);
      expect(answer.text).not.toContain('fire');
      repository.broken.clear();
      expect((await browser.get('read')).json).toEqual({ n: 1 });
    },
  );

  it.each(['read', 'update'] as const)("a '%s' that never ends is a 503 after storeTimeout", async (operation) => {
    repository.hanging.add(operation);
    expect((await browser.get('value')).status).toBe(503);
    repository.hanging.clear();
    expect((await browser.get('value')).status).toBe(200);
  });

  it('many requests of one session that wait for a hanging save are all answered', async () => {
    repository.hanging.add('update');
    const answers = await Promise.all(Array.from({ length: 20 }, () => browser.clone().get('value')));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([503]));
    repository.hanging.clear();
    expect((await browser.get('value')).status).toBe(200);
  });

  it('routes that do not use the session work on', async () => {
    repository.broken = new Set(['read', 'create', 'update', 'delete']);
    expect((await browser.get('unused')).text).toBe('ok');
    expect((await new Browser(running.url).get('read')).status).toBe(200);
  });

  it('a log-out that fails does not pretend', async () => {
    repository.broken.add('delete');
    const answer = await browser.post('destroy');
    expect([answer.status, browser.jar.size]).toEqual([503, 1]);
  });

  it('a handler that catches the error of its own save() is tried once more as the response ends', async () => {
    repository.broken.add('update');
    expect((await browser.post('caught')).status).toBe(201);
    browser.jar.clear();
    repository.broken.add('create');
    expect((await browser.post('caught')).status).toBe(503);
  });

  it("the application's own filter can answer", async () => {
    await running.close();
    await start({}, [new StoreErrorFilter()]);
    repository.broken.add('update');
    const answer = await browser.get('value');
    expect([answer.status, answer.text]).toEqual([503, 'be right back']);
  });

  describe("with onStoreError: 'degrade',", () => {
    beforeEach(async () => {
      await running.close();
      await start({ onStoreError: 'degrade' });
      repository.broken.add('read');
    });

    it('pages are served with an empty session, and the cookie stays', async () => {
      const answer = await browser.get('read');
      expect([answer.status, answer.json, answer.cookies]).toEqual([200, {}, []]);
      repository.broken.clear();
      expect((await browser.get('read')).json).toEqual({ n: 1 });
    });

    it('there are no messages to take', async () => {
      const { status, json } = await browser.get('flashes');
      expect([status, json]).toEqual([200, []]);
    });

    it('a write is a 503', async () => {
      const answer = await browser.get('value');
      expect([answer.status, answer.cookies]).toEqual([503, []]);
    });

    it('a save that fails is still a 503', async () => {
      repository.broken = new Set(['update']);
      expect((await browser.get('value')).status).toBe(503);
    });
  });
});
