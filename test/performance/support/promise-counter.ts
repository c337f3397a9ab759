import { createHook } from 'node:async_hooks';
import { Agent, get } from 'node:http';
import type { Browser } from '../../e2e/browser.js';

/** Compiling, connecting and remembering is done after so many. */
const FIRST_REQUESTS = 5;
const COUNTED_REQUESTS = 20;

/** A client without promises of its own, so that all that are made are the server's. One connection, kept open. */
const agent = new Agent({ keepAlive: true, maxSockets: 1 });

/** How many promises this process makes for one request: counted, and the same on every machine. */
export function promisesPerRequest(browser: Browser, path: string): Promise<number> {
  let promises = 0;
  const hook = createHook({
    init: (_id, type) => {
      if (type === 'PROMISE') promises++;
    },
  });
  return new Promise((resolve, reject) => {
    let sent = 0;
    const next = (): void => {
      if (sent === FIRST_REQUESTS) hook.enable();
      if (sent++ < FIRST_REQUESTS + COUNTED_REQUESTS) return send(browser, path, next, reject);
      hook.disable();
      resolve(promises / COUNTED_REQUESTS);
    };
    next();
  });
}

function send(browser: Browser, path: string, done: () => void, failed: (error: Error) => void): void {
  get(new URL(path, browser.url), { agent, headers: { cookie: browser.cookieHeader } }, (response) => {
    response.resume();
    response.on('end', done);
  }).on('error', failed);
}
