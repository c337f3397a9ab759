import { afterEach, describe, expect, it } from '@jest/globals';
import type { Request } from 'express';
import type { ServerSessionOptions } from 'nestjs-server-session';
import { ADAPTERS } from '../e2e/application.js';
import { type AdminApplication, startAdmin } from './support/application.js';

describe.each(ADAPTERS)("On %s, the option 'meta'", (adapter) => {
  let app: AdminApplication;
  const start = async (meta: ServerSessionOptions['meta']): Promise<void> => {
    app = await startAdmin({ type: 'memory', meta }, { adapter });
  };
  afterEach(() => app?.close());

  it('notes facts of the request that a session begins with', async () => {
    let calls = 0;
    await start((request) => {
      calls++;
      return { agent: request.headers['user-agent'], address: request.ip };
    });
    const browser = app.browser();
    await browser.get('me', { 'user-agent': 'Firefox' });
    expect(calls).toBe(0);
    const { text: handle } = await browser.post('visit', undefined, { 'user-agent': 'Firefox' });
    await browser.post('visit', undefined, { 'user-agent': 'Chrome' });
    await browser.post('login', { user: 'ann' }, { 'user-agent': 'Chrome' });
    expect(await app.sessions.get(handle)).toBeUndefined();
    const { sessions } = await app.sessions.list({ principal: 'ann' });
    expect(sessions.map(({ meta }) => meta)).toEqual([{ agent: 'Firefox', address: '127.0.0.1' }]);
    expect(JSON.stringify(sessions[0])).toBe('{"visited":true}');
    expect(calls).toBe(1);
  });

  it('sees the request of the framework', async () => {
    await start((request: Request) => ({ url: request.originalUrl }));
    const { text: handle } = await app.browser().post('visit');
    expect((await app.sessions.get(handle))?.meta).toEqual({ url: '/visit' });
  });

  it.each<[string, NonNullable<ServerSessionOptions['meta']>]>([
    [
      'throws',
      () => {
        throw new Error('of the application');
      },
    ],
    ['gives nothing', () => undefined],
    [
      'gives what cannot be stored',
      () => {
        const loop: Record<string, unknown> = {};
        return Object.assign(loop, { loop });
      },
    ],
  ])('harms no request when it %s', async (_case, meta) => {
    await start(meta);
    const { status, text: handle } = await app.browser().post('visit');
    expect(status).toBe(201);
    const session = await app.sessions.get(handle);
    expect([session?.get('visited'), session?.meta]).toEqual([true, undefined]);
  });
});
