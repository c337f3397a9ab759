import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Controller, Get, Logger, Req, Res, Sse } from '@nestjs/common';
import type { Server, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { concatMap, filter, interval, take } from 'rxjs';
import { type ServerSession, Session, SessionHeadersSentError, SessionService } from 'nestjs-server-session';
import { APPLICATIONS, type RunningApplication, startApplication } from './application.js';
import { Browser } from './browser.js';
import { RecordingRepository } from './recording.repository.js';

type Reply = ServerResponse & { raw?: ServerResponse; hijack?: () => void };

/** What a handler tries once the first byte has left. */
const LATE: Record<string, (session: ServerSession) => unknown> = {
  regenerate: (session) => session.regenerate(),
  principal: (session) => (session.principal = 'ada'),
  begin: (session) => session.set('n', 1),
  save: (session) => session.set('n', 1).save(),
};

async function attempt(session: ServerSession, what: string): Promise<string> {
  try {
    await LATE[what]!(session);
    return 'done';
  } catch (error) {
    return error instanceof SessionHeadersSentError ? 'refused' : String(error);
  }
}

async function stream(session: ServerSession, reply: Reply, what: string): Promise<void> {
  reply.hijack?.();
  const response = reply.raw ?? reply;
  response.write('first, ');
  await sleep(5);
  response.end(await attempt(session, what));
}

/** Of the request that came last. */
let latestResponse: ServerResponse | undefined;

const events = (session: ServerSession, what: string) =>
  interval(5).pipe(
    filter(() => latestResponse?.headersSent === true),
    take(1),
    concatMap(async () => ({ data: await attempt(session, what) })),
  );

@Controller()
class LateController {
  @Get('begin-now') beginNow(@Session() session: ServerSession): void {
    session.set('n', 1);
  }
  @Get('read') read(@Session() session: ServerSession): unknown {
    return { n: session.get('n', null), principal: session.principal ?? null };
  }
  @Get('stream/regenerate') regenerate(@Session() session: ServerSession, @Res() reply: Reply): Promise<void> {
    return stream(session, reply, 'regenerate');
  }
  @Get('stream/principal') principal(@Session() session: ServerSession, @Res() reply: Reply): Promise<void> {
    return stream(session, reply, 'principal');
  }
  @Get('stream/begin') begin(@Session() session: ServerSession, @Res() reply: Reply): Promise<void> {
    return stream(session, reply, 'begin');
  }
  @Get('stream/save') save(@Session() session: ServerSession, @Res() reply: Reply): Promise<void> {
    return stream(session, reply, 'save');
  }
  @Sse('sse/regenerate') sseRegenerate(@Session() session: ServerSession): unknown {
    return events(session, 'regenerate');
  }
  @Sse('sse/principal') ssePrincipal(@Session() session: ServerSession): unknown {
    return events(session, 'principal');
  }
  @Sse('sse/begin') sseBegin(@Session() session: ServerSession): unknown {
    return events(session, 'begin');
  }
  @Sse('sse/save') sseSave(@Session() session: ServerSession): unknown {
    return events(session, 'save');
  }
}

describe.each(APPLICATIONS)('On %s by %s, when the head of a response has left,', (adapter, boot) => {
  let running: RunningApplication;
  let browser: Browser;
  beforeEach(async () => {
    running = await startApplication({ adapter, boot, controllers: [LateController] });
    const server = running.app.getHttpServer() as Server;
    server.prependListener('request', (_request, response) => void (latestResponse = response));
    browser = new Browser(running.url);
  });
  afterEach(() => running.close());

  it.each(['stream/regenerate', 'stream/principal', 'sse/regenerate', 'sse/principal'])(
    'a new id is refused, and the old one stays valid: %s',
    async (path) => {
      await browser.get('begin-now');
      const { text, cookies } = await browser.get(path);
      expect([text.includes('refused'), cookies]).toEqual([true, []]);
      expect((await browser.get('read')).json).toEqual({ n: 1, principal: null });
    },
  );

  it.each(['stream/begin', 'stream/save', 'sse/begin', 'sse/save'])('a session that begins is a warning in the log: %s', async (path) => {
    const lines: string[] = [];
    const logged = jest.spyOn(Logger.prototype, 'warn').mockImplementation((line: unknown) => void lines.push(String(line)));
    const { text, cookies } = await browser.get(path);
    logged.mockRestore();
    expect([text.includes('done'), cookies]).toEqual([true, []]);
    expect(lines).toEqual([expect.stringMatching(/session began after the response had/)]);
  });
});

@Controller()
class HurriedController {
  constructor(private readonly sessions: SessionService) {}

  @Get('begin') begin(@Session() session: ServerSession): void {
    session.set('n', 1);
  }
  @Get('flush') flush(@Req() request: object, @Res() reply: Reply): void {
    reply.hijack?.();
    const response = reply.raw ?? reply;
    void this.sessions.load(request);
    response.flushHeaders();
    response.end('flushed');
  }
}

describe.each(APPLICATIONS)('On %s by %s, a head that is flushed while the session still loads', (adapter, boot) => {
  it('waits for it, and has its cookie renewed', async () => {
    const repository = new RecordingRepository();
    const start = (secret: string[]): Promise<RunningApplication> =>
      startApplication({ adapter, boot, session: { repository, useSigner: true, secret }, controllers: [HurriedController] });
    const [former, present] = ['former secret of at least 32 characters', 'present secret of at least 32 characters'] as const;
    const before = await start([former]);
    const browser = new Browser(before.url);
    await browser.get('begin');
    const after = await start([present, former]);
    repository.latency = 15;
    const response = await fetch(new URL('flush', after.url), { headers: { cookie: browser.cookieHeader } });
    expect([await response.text(), response.headers.getSetCookie()]).toEqual(['flushed', [expect.stringMatching(/^session=/)]]);
    expect(response.headers.get('vary')).toMatch(/cookie/i);
    await before.close();
    await after.close();
  });
});
