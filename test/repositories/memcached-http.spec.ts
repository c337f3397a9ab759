import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller, Get, Param, Post } from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ServerSession, Session } from 'nestjs-server-session';
import { ADAPTERS, type RunningApplication, startApplication } from '../e2e/application.js';
import { Browser } from '../e2e/browser.js';
import { startMemcached, type TestServer } from '../servers/index.js';
import { itUnless } from '../servers/it-unless.js';
import { addressOf, commandsDuring } from './memcached.probe.js';

@Controller()
class KeysController {
  @Get('unused') unused(): string {
    return 'ok';
  }
  @Get('keys') keys(@Session() session: ServerSession): unknown {
    return [...session.keys()].sort();
  }
  @Post('set/:key') set(@Session() session: ServerSession, @Param('key') key: string): void {
    session.set(key, true);
  }
  @Post('large') large(@Session() session: ServerSession): void {
    session.set('large', 'x'.repeat(1_500_000));
  }
  @Post('destroy') async destroy(@Session() session: ServerSession): Promise<void> {
    await session.destroy();
  }
}

describe.each(ADAPTERS)('On %s with Memcached,', (adapter) => {
  let server: TestServer;
  let applications: RunningApplication[];

  beforeAll(async () => {
    server = await startMemcached();
    const memcached = { servers: addressOf(server) };
    const session = { type: 'memcached', memcached, keyPrefix: `${adapter}:`, storeTimeout: '1s', maxBytes: 5_000_000 } as const;
    const start = (): Promise<RunningApplication> => startApplication({ adapter, session, controllers: [KeysController] });
    applications = [await start(), await start()];
  });
  afterAll(async () => {
    for (const application of applications) await application.close();
    await server.stop();
  });

  const visit = (): Browser => new Browser(applications[0]!.url);

  it('a request costs no command unused or absent, one for a read, two for a change', async () => {
    const browser = visit();
    const counted = (action: () => Promise<unknown>): Promise<Record<string, number>> => commandsDuring(server, action);
    expect(await counted(() => browser.get('unused'))).toEqual({});
    expect(await counted(() => browser.get('keys'))).toEqual({});
    expect(await counted(() => browser.post('set/a'))).toEqual({ cmd_set: 1 });
    expect(await counted(() => browser.get('unused'))).toEqual({});
    expect(await counted(() => browser.get('keys'))).toEqual({ cmd_get: 1 });
    expect(await counted(() => browser.post('set/b'))).toEqual({ cmd_get: 1, cmd_set: 1, cas_hits: 1 });
    expect((await browser.get('keys')).json).toEqual(['a', 'b']);
  });

  it('changes that two processes make at the same time are all kept', async () => {
    const browser = visit();
    await browser.post('set/first');
    const keys = Array.from({ length: 40 }, (_unused, index) => `key${index}`);
    const answers = await Promise.all(
      keys.map((key, index) => {
        const other = new Browser(applications[index % 2]!.url);
        for (const [name, value] of browser.jar) other.jar.set(name, value);
        return other.post(`set/${key}`);
      }),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]));
    expect((await browser.get('keys')).json).toEqual(['first', ...keys].sort());
  });

  it('a destroyed session does not come back', async () => {
    const browser = visit();
    await browser.post('set/a');
    const copy = browser.clone();
    await browser.post('destroy');
    expect((await copy.get('keys')).json).toEqual([]);
  });

  it('a session over the item size of the server is an error, and the session before stays', async () => {
    const browser = visit();
    await browser.post('set/a');
    expect((await browser.post('large')).status).toBe(503);
    expect((await browser.get('keys')).json).toEqual(['a']);
  });

  itUnless('MEMCACHED_SERVERS')('a lost server is a 503, and all is well again when it is back', async () => {
    const browser = visit();
    await browser.post('set/a');
    await server.kill();
    expect((await browser.get('keys')).status).toBe(503);
    expect((await browser.post('set/b')).status).toBe(503);
    expect((await browser.get('unused')).status).toBe(200);
    await server.restart();
    expect((await browser.post('set/c')).status).toBe(201);
    expect((await browser.get('keys')).json).toEqual(['c']);
  });

  itUnless('MEMCACHED_SERVERS')('a server that does not answer is a 503 within storeTimeout', async () => {
    const browser = visit();
    await browser.post('set/a');
    await server.pause();
    const answers = Promise.all(Array.from({ length: 10 }, () => browser.clone().get('keys')));
    const statuses = await Promise.race([answers.then((all) => all.map(({ status }) => status)), sleep(5000, 'hanging', { ref: false })]);
    await server.resume();
    expect(statuses).toEqual(Array.from({ length: 10 }, () => 503));
    expect((await browser.get('keys')).json).toEqual(['a']);
  });
});
