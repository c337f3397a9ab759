import { expect } from '@jest/globals';
import { Browser } from '../../e2e/browser.js';
import { ApplicationProcess } from '../support/application-process.js';
import type { Store } from '../support/stores.js';

/** With `onStoreError: 'degrade'` pages are served while the server is away, and the session is there again afterwards. */
export async function expectPagesMeanwhile(store: Store): Promise<void> {
  const { server } = store;
  if (server === undefined) throw new Error('this store has no server');
  const application = await ApplicationProcess.start({ onStoreError: 'degrade', storeTimeout: '500ms', ...store.session() });
  try {
    const browser = new Browser(application.url);
    await browser.post('set/name/ada');
    const cookie = browser.cookieHeader;
    await server.kill();
    for (let page = 0; page < 5; page++) {
      const answer = await browser.get('page');
      expect([answer.status, answer.text, answer.cookies]).toEqual([200, 'hello stranger', []]);
    }
    expect((await browser.post('set/name/eve')).status).toBe(503);
    expect(browser.cookieHeader).toBe(cookie);
    await server.restart();
    const expected = store.durable ? 'hello ada' : 'hello stranger';
    await untilServed(() => browser.post('set/other/1'));
    expect((await browser.get('page')).text).toBe(expected);
  } finally {
    await application.close();
  }
}

async function untilServed(request: () => Promise<{ status: number }>): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    if ((await request()).status === 201) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('the application did not recover');
}
