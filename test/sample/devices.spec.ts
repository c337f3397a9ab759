import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ADAPTERS } from '../e2e/application.js';
import { Browser } from '../e2e/browser.js';
import { DevicesSample } from './devices-sample.js';
import { type BuiltSamples, buildSamples } from './sample-build.js';

const LIMIT = 120_000;
const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0';
const SAFARI = 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/604.1';

let samples: BuiltSamples;
let cwd: string;
let sample: DevicesSample | undefined;

beforeAll(async () => {
  [samples, cwd] = await Promise.all([buildSamples(), mkdtemp(join(tmpdir(), 'devices-'))]);
}, LIMIT);
afterEach(async () => {
  await sample?.close();
  sample = undefined;
});
afterAll(async () => {
  await samples.remove();
  await rm(cwd, { recursive: true, force: true });
});

/** Fills in a form of the page and follows the redirect back to it. */
async function submit(browser: Browser, action: string, fields: Record<string, string> = {}, agent = FIREFOX): Promise<string> {
  const { status, headers } = await browser.post(action, new URLSearchParams(fields), { 'user-agent': agent });
  expect([status, headers.get('location')]).toEqual([303, '/']);
  return (await browser.get('/', { 'user-agent': agent })).text;
}

const PASSWORDS = { ada: 'analytical engine', grace: 'nanoseconds' };

describe.each(ADAPTERS)('The sample of devices (%s)', (adapter) => {
  const open = async (env: Record<string, string> = { SESSION_TYPE: 'memory' }): Promise<DevicesSample> =>
    (sample = await DevicesSample.open(samples.folder, cwd, { ADAPTER: adapter, ...env }));
  const signIn = async (name: keyof typeof PASSWORDS, agent = FIREFOX): Promise<Browser> => {
    const browser = new Browser(sample?.url ?? '');
    expect(await submit(browser, '/login', { name, password: PASSWORDS[name] }, agent)).toContain(`Welcome, ${name}.`);
    return browser;
  };

  it(
    'lets in who knows the password, and says on the page when it is wrong',
    async () => {
      const { url } = await open();
      const browser = new Browser(url);
      const page = await browser.get('/');
      expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
      expect([page.text.includes('action="/login"'), browser.jar.size]).toEqual([true, 0]);
      const wrong: Record<string, string>[] = [{ name: 'ada', password: 'nanoseconds' }, { name: 'nobody', password: '' }, { name: 'ada' }];
      for (const fields of wrong) expect(await submit(browser, '/login', fields)).toContain('Name and password do not belong together.');
      const devices = await submit(browser, '/login', { name: 'ada', password: PASSWORDS.ada });
      expect(devices).toContain('Signed in as <strong>ada</strong>');
      expect(devices).toContain('this device only');
      expect(devices).not.toContain('<script');
      expect(await submit(browser, '/logout')).toContain('You are signed out.');
    },
    LIMIT,
  );

  it(
    'shows the devices of the user, and signs out the one that was chosen',
    async () => {
      await open();
      const [desk, phone, other] = [await signIn('ada'), await signIn('ada', SAFARI), await signIn('grace')];
      const page = (await desk.get('/')).text;
      expect(page).toContain('signed in on 2 devices');
      expect(page).toMatch(/<h2>Firefox on Linux<\/h2>\s*<p class="soft mark">This device<\/p>[^]*<h2>Safari on iOS<\/h2>/);
      expect(page).toContain('127.0.0.1');
      const [, handle = ''] = /name="handle" value="([\w-]+)"/.exec(page) ?? [];
      for (const { jar } of [desk, phone, other]) expect(page).not.toContain(jar.get('session'));

      // A handle of somebody else's session is of no use.
      expect(await submit(other, '/devices/sign-out', { handle })).toContain('That device is not signed in any more.');
      expect((await phone.get('/')).text).toContain('Signed in as <strong>ada</strong>');

      expect(await submit(desk, '/devices/sign-out', { handle })).toContain('Safari on iOS is signed out.');
      expect((await phone.get('/')).text).toContain('action="/login"');
      expect((await desk.get('/')).text).toContain('this device only');
      expect(await submit(desk, '/devices/sign-out', { handle })).toContain('That device is not signed in any more.');
    },
    LIMIT,
  );

  it(
    'signs out everywhere else',
    async () => {
      await open();
      const [here, there, elsewhere, other] = [await signIn('ada'), await signIn('ada'), await signIn('ada'), await signIn('grace')];
      expect(await submit(here, '/devices/sign-out-others')).toContain('2 other devices are signed out.');
      for (const browser of [there, elsewhere]) expect((await browser.get('/')).text).toContain('action="/login"');
      for (const browser of [here, other]) expect((await browser.get('/')).text).toContain('this device only');
      // From a device that is not signed in, nothing happens.
      expect(await submit(there, '/devices/sign-out-others')).toContain('Sign in first.');
    },
    LIMIT,
  );

  it(
    'shows administrators, and nobody else, how many are signed in',
    async () => {
      const { url } = await open();
      const [ada, grace] = [await signIn('ada'), await signIn('grace')];
      for (const browser of [ada, new Browser(url)]) {
        for (const path of ['/admin', '/admin/events', '/admin/live-counts.js']) {
          const { status, text } = await browser.get(path);
          expect([status, text.includes('This page is for administrators')]).toEqual([403, true]);
        }
      }
      const page = (await grace.get('/admin')).text;
      const counts = Array.from(page.matchAll(/data-count="([\w-]+)">(\d+)</g), ([, id, number]) => [id, Number(number)]);
      expect(Object.fromEntries(counts)).toEqual({ all: 2, 'user-ada': 1, 'user-grace': 1, anonymous: 0 });
    },
    LIMIT,
  );

  it(
    'sends the counts as they change, until the administrator is signed out',
    async () => {
      const { url } = await open();
      const grace = await signIn('grace');
      const response = await fetch(`${url}/admin/events`, { headers: { cookie: grace.cookieHeader } });
      expect(response.headers.get('content-type')).toContain('text/event-stream');
      const received: string[] = [];
      let onText = (): void => undefined;
      const stream = (async () => {
        for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
          received.push(chunk);
          onText();
        }
      })();
      const saw = async (text: string): Promise<void> => {
        while (!received.join('').includes(text)) await new Promise<void>((resolve) => (onText = resolve));
      };
      await saw('"users":{"ada":0,"grace":1}');
      const ada = await signIn('ada');
      await saw('"users":{"ada":1,"grace":1}');
      received.length = 0;
      await submit(ada, '/logout');
      await saw('"users":{"ada":0,"grace":1}');
      await submit(grace, '/logout');
      // It ends by itself; else this would wait until the test is over.
      await stream;
    },
    LIMIT,
  );

  it(
    'closes with streams still open',
    async () => {
      const { url } = await open();
      const grace = await signIn('grace');
      const { body } = await fetch(`${url}/admin/events`, { headers: { cookie: grace.cookieHeader } });
      await sample?.process.stop('SIGTERM');
      for await (const _chunk of body ?? []);
      expect(sample?.process.output).not.toMatch(/error/i);
    },
    LIMIT,
  );

  it(
    'keeps devices signed in over a restart, in files by default',
    async () => {
      const env = { SESSION_FILE_DIR: join(cwd, adapter) };
      await open(env);
      const before = await signIn('ada');
      await sample?.close();
      const { url } = await open(env);
      const after = new Browser(url);
      for (const [name, value] of before.jar) after.jar.set(name, value);
      expect((await after.get('/')).text).toContain('Signed in as <strong>ada</strong>');
    },
    LIMIT,
  );
});
