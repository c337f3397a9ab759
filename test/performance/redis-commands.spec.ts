import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { ServerSessionOptions } from 'nestjs-server-session';
import { ADAPTERS, type RunningApplication, startApplication } from '../e2e/application.js';
import { Browser } from '../e2e/browser.js';
import { startRedis, type TestServer } from '../servers/index.js';
import { eventually } from '../support/eventually.js';
import { CommandMonitor } from './support/command-monitor.js';
import { SessionWorkController } from './support/session-work.controller.js';

describe.each(ADAPTERS)('On %s with Redis,', (adapter) => {
  const prefix = `performance-${adapter}:`;
  let server: TestServer;
  let monitor: CommandMonitor;
  const started: RunningApplication[] = [];
  let running: RunningApplication;
  let browser: Browser;

  const start = async (options: ServerSessionOptions = {}): Promise<RunningApplication> => {
    const application = await startApplication({
      adapter,
      session: { type: 'redis', redis: { url: server.url }, keyPrefix: prefix, ...options },
      controllers: [SessionWorkController],
    });
    started.push(application);
    return application;
  };
  const sentBy = async (path: string): Promise<string[]> => {
    await monitor.taken();
    expect((await browser.get(path)).status).toBe(200);
    return monitor.taken();
  };

  beforeAll(async () => {
    server = await startRedis();
    monitor = await CommandMonitor.start(server.url, prefix);
    running = await start();
    // The scripts are known to the server from here on; the first run of each is sent twice.
    browser = new Browser(running.url);
    for (const path of ['change', 'change', 'regenerate', 'login', 'logout']) await browser.get(path);
  });
  beforeEach(async () => {
    browser = new Browser(running.url);
    await browser.get('change');
  });
  afterAll(async () => {
    for (const application of started) await application.close();
    monitor.stop();
    await server.stop();
  });

  it('a request without a session sends nothing', async () => {
    browser = new Browser(running.url);
    expect([await sentBy('unused'), await sentBy('read'), await sentBy('flashes'), await sentBy('logout')]).toEqual([[], [], [], []]);
  });

  it('the first change sends one command', async () => {
    browser = new Browser(running.url);
    expect(await sentBy('change')).toEqual(['set']);
  });

  it.each([
    ['does not use the session', 'unused', []],
    ['reads', 'read', ['get']],
    ['looks for flash messages where there are none', 'flashes', ['get']],
    ['sets a key to what it is', 'same', ['get']],
    ['changes a key', 'change', ['get', 'evalsha']],
    ['leaves a flash message', 'flash', ['get', 'evalsha']],
    ['takes the flash messages', 'flashes', ['get', 'evalsha']],
  ])('a request that %s sends exactly: %s', async (_what, path, commands) => {
    if (path === 'flashes' && commands.length > 1) await browser.get('flash');
    expect(await sentBy(path)).toEqual(commands);
  });

  it('a new id costs the new record and the end of the old one', async () => {
    expect(await sentBy('regenerate')).toEqual(['get', 'set', 'evalsha']);
  });

  it('a log-in costs that, the removal of the old id, the change and a note in the index of the principal', async () => {
    expect(await sentBy('login')).toEqual(['get', 'set', 'evalsha', 'evalsha', 'evalsha', 'evalsha']);
  });

  it('a log-out costs the removal of the record', async () => {
    expect(await sentBy('logout')).toEqual(['get', 'evalsha']);
  });

  it('with the near cache, reading again and again sends nothing', async () => {
    const near = await start({ redis: { url: server.url, nearCache: {} } });
    browser = new Browser(near.url);
    await browser.get('change');
    await eventually(async () => expect(await sentBy('read')).toEqual([]));
    for (let time = 0; time < 10; time++) expect(await sentBy('read')).toEqual([]);
    expect(await sentBy('change')).toEqual(['evalsha']);
  });

  it('a touch goes along with the read', async () => {
    const eager = await start({ touchInterval: 0 });
    browser = new Browser(eager.url);
    await browser.get('change');
    expect([await sentBy('read'), await sentBy('read')]).toEqual([['getex'], ['getex']]);
  });
});
