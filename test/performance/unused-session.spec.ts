import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller, Get, Req, Res } from '@nestjs/common';
import { ApplicationConfig } from '@nestjs/core';
import type { ServerResponse } from 'node:http';
import { type ServerSession, Session } from 'nestjs-server-session';
import { ADAPTERS, type RunningApplication, startApplication } from '../e2e/application.js';
import { Browser } from '../e2e/browser.js';
import { startPlainApplication } from './support/plain-application.js';
import { promisesPerRequest } from './support/promise-counter.js';

type Reply = ServerResponse & { raw?: ServerResponse };

/** What is on a response itself, beyond what all responses share: properties, and listeners by event. */
function burdenOf(reply: Reply): object {
  const response = reply.raw ?? reply;
  const listeners = Object.fromEntries(response.eventNames().map((name) => [String(name), response.listenerCount(name)]));
  return { properties: Reflect.ownKeys(response).map(String).sort(), listeners };
}

@Controller()
class PagesController {
  @Get('page') page(): string {
    return 'ok';
  }
  @Get('async-page') async asyncPage(): Promise<string> {
    return 'ok';
  }
  @Get('response') response(@Res({ passthrough: true }) reply: Reply): object {
    return burdenOf(reply);
  }
}

@Controller('session')
class SessionController {
  @Get('count') count(@Session() session: ServerSession): number {
    session.set('n', session.get('n', 0) + 1);
    return session.get('n', 0);
  }
  @Get('response') response(@Session() _session: ServerSession, @Res({ passthrough: true }) reply: Reply): object {
    return burdenOf(reply);
  }
}

@Controller('request')
class RequestController {
  @Get() request(@Req() request: { session: ServerSession }): unknown {
    return request.session.get('n');
  }
}

const interceptorsOf = ({ app }: RunningApplication): unknown[] =>
  [...app.get(ApplicationConfig).getGlobalInterceptors(), ...app.get(ApplicationConfig).getGlobalRequestInterceptors()].filter(
    (interceptor) => interceptor !== undefined,
  );

describe.each(ADAPTERS)('On %s, a route that does not use the session,', (adapter) => {
  let plain: RunningApplication;
  let running: RunningApplication;
  let without: Browser;
  let browser: Browser;

  beforeAll(async () => {
    plain = await startPlainApplication(adapter, [PagesController]);
    running = await startApplication({ adapter, controllers: [PagesController, SessionController] });
    without = new Browser(plain.url);
    browser = new Browser(running.url);
    // It has a session all the same, and its cookie comes with every request.
    await browser.get('session/count');
  });
  afterAll(async () => {
    await running.close();
    await plain.close();
  });

  it('has no interceptor', () => {
    expect(interceptorsOf(running)).toEqual([]);
  });

  it('has a response that is like any other: no gate, no wrapper, no listener', async () => {
    expect((await browser.get('response')).json).toEqual((await without.get('response')).json);
    // So the comparison can see it where there is one.
    expect((await browser.get('session/response')).json).not.toEqual((await without.get('response')).json);
  });

  it.each(['page', 'async-page'])('makes exactly as many promises as without this module: %s', async (path) => {
    expect(await promisesPerRequest(browser, path)).toBe(await promisesPerRequest(without, path));
  });

  it('has none beside handlers that take the request as it is', async () => {
    const other = await startApplication({ adapter, controllers: [PagesController, RequestController] });
    const visitor = new Browser(other.url);
    expect((await visitor.get('request')).status).toBe(200);
    const promises = await promisesPerRequest(visitor, 'page');
    const interceptors = interceptorsOf(other);
    await other.close();
    expect([interceptors, promises]).toEqual([[], await promisesPerRequest(without, 'page')]);
  });
});
