import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller, Get, Res } from '@nestjs/common';
import type { ServerResponse } from 'node:http';
import { type ServerSession, Session } from 'nestjs-server-session';
import { ADAPTERS, type RunningApplication, startApplication } from './application.js';
import { Browser } from './browser.js';
import { RecordingRepository } from './recording.repository.js';
import { eventually } from '../support/eventually.js';

type Reply = ServerResponse & { raw?: ServerResponse; hijack?: () => void };
/** [headersSent, writableEnded] */
type State = readonly [boolean, boolean];

const stateOf = ({ headersSent, writableEnded }: ServerResponse): State => [headersSent, writableEnded];

/** By the moment, what a response said of itself. */
const seen: Record<string, State> = {};

@Controller()
class StateController {
  @Get('end') end(@Session() session: ServerSession, @Res() reply: Reply): void {
    reply.hijack?.();
    const response = reply.raw ?? reply;
    session.set('n', session.get('n', 0) + 1);
    seen['before'] = stateOf(response);
    response.once('finish', () => (seen['finished'] = stateOf(response)));
    response.end('ended');
    seen['held'] = stateOf(response);
  }

  @Get('write') write(@Session() session: ServerSession, @Res() reply: Reply): void {
    reply.hijack?.();
    const response = reply.raw ?? reply;
    session.set('n', 1);
    response.writeHead(200, { 'content-type': 'text/plain' });
    seen['head'] = stateOf(response);
    response.write('first');
    seen['written'] = stateOf(response);
    response.end();
    seen['held'] = stateOf(response);
  }

  @Get('none') none(@Res() reply: Reply): void {
    reply.hijack?.();
    const response = reply.raw ?? reply;
    seen['before'] = stateOf(response);
    response.end('ended');
    seen['ended'] = stateOf(response);
  }
}

/** Looks at a response as its head really leaves, as compression and the like do. */
function watchHead(_request: unknown, reply: Reply, next: () => void): void {
  const response = reply.raw ?? reply;
  const original = response.writeHead.bind(response) as (...args: unknown[]) => ServerResponse;
  response.writeHead = ((...args: unknown[]) => {
    seen['leaving'] = stateOf(response);
    return original(...args);
  }) as ServerResponse['writeHead'];
  next();
}

describe.each(ADAPTERS)('On %s, while its session is saved, a response', (adapter) => {
  const repository = new RecordingRepository();
  let plain: RunningApplication;
  let watched: RunningApplication;

  beforeAll(async () => {
    const options = { adapter, session: { repository }, controllers: [StateController] };
    plain = await startApplication(options);
    watched = await startApplication({ ...options, configure: (app) => void app.use(watchHead) });
  });
  afterAll(async () => {
    await plain.close();
    await watched.close();
  });
  beforeEach(() => {
    for (const moment of Object.keys(seen)) Reflect.deleteProperty(seen, moment);
  });

  it('says that it was sent, so that nobody sends another one', async () => {
    expect((await new Browser(plain.url).get('end')).text).toBe('ended');
    expect(seen).toMatchObject({ before: [false, false], held: [true, true] });
    await eventually(async () => expect(seen['finished']).toEqual([true, true]));
  });

  it('says so of what was called only', async () => {
    expect((await new Browser(plain.url).get('write')).text).toBe('first');
    expect(seen).toEqual({ head: [true, false], written: [true, false], held: [true, true] });
  });

  it('says the truth to who looks at it as it really leaves', async () => {
    expect((await new Browser(watched.url).get('end')).text).toBe('ended');
    expect(seen).toMatchObject({ before: [false, false], held: [true, true] });
    expect(seen['leaving']?.[0]).toBe(false);
    await eventually(async () => expect(seen['finished']).toEqual([true, true]));
  });

  it('without a session says the truth all along', async () => {
    expect((await new Browser(plain.url).get('none')).text).toBe('ended');
    expect(seen).toEqual({ before: [false, false], ended: [true, true] });
  });
});
