import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { ChatSample } from './chat-sample.js';
import { launchChromium } from './chromium.js';
import { type BuiltSamples, buildSamples } from './sample-build.js';

const LIMIT = 180_000;
/** Milliseconds for one step in the browser, on machines that do other things as well. */
const PATIENCE = 60_000;
const DAY = 24 * 3600;
/** For looking at the pages: a folder for a picture of each. */
const PICTURES = process.env['SAMPLE_PICTURES'];

let samples: BuiltSamples;
let cwd: string;
let chromium: Browser;
let sample: ChatSample;
const contexts: BrowserContext[] = [];

beforeAll(async () => {
  [samples, cwd, chromium] = await Promise.all([buildSamples(), mkdtemp(join(tmpdir(), 'chat-')), launchChromium()]);
}, 600_000);
afterEach(async () => {
  await Promise.all(contexts.splice(0).map((context) => context.close()));
  await sample.close();
  // Browsers that are still connected must not keep it from closing without complaint.
  expect(sample.process.output).not.toMatch(/error/i);
});
afterAll(async () => {
  await chromium?.close();
  await samples?.remove();
  if (cwd) await rm(cwd, { recursive: true, force: true });
});

describe('The chat in Chromium', () => {
  beforeEach(async () => {
    sample = await ChatSample.open(samples.folder, cwd, { SESSION_TYPE: 'memory' });
  }, LIMIT);

  /** A browser of its own, at the log-in page. */
  const open = async (): Promise<Page> => {
    const context = await chromium.newContext({ viewport: { width: 800, height: 600 } });
    context.setDefaultTimeout(PATIENCE);
    contexts.push(context);
    return openTab(context);
  };
  const openTab = async (context: BrowserContext): Promise<Page> => {
    const page = await context.newPage();
    await page.goto(sample.url);
    return page;
  };
  const signIn = async (page: Page, name: string, remember = false): Promise<void> => {
    await page.getByLabel('Your name').fill(name);
    if (remember) await page.getByLabel('Remember me').check();
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('Connected.').waitFor();
  };
  const say = async (page: Page, text: string): Promise<void> => {
    await page.getByLabel('Message', { exact: true }).fill(text);
    await page.getByRole('button', { name: 'Send' }).click();
  };
  const hears = (page: Page, text: string): Promise<void> => page.getByRole('listitem').getByText(text, { exact: true }).waitFor();
  const isSignedOut = (page: Page): Promise<void> => page.getByText('You are signed out. Reload').waitFor();
  const signOut = async (page: Page, button: string): Promise<void> => {
    await page.getByRole('button', { name: button, exact: true }).click();
    await page.getByLabel('Your name').waitFor();
  };
  const look = async (page: Page, name: string): Promise<void> => {
    if (PICTURES) await page.screenshot({ path: join(PICTURES, `chat-${name}.png`), fullPage: true });
  };

  it(
    'two users talk, and one who comes later sees what was said',
    async () => {
      const [ada, grace] = [await open(), await open()];
      await look(ada, 'sign-in');
      await signIn(ada, 'ada');
      await signIn(grace, 'grace');
      await say(ada, 'Hello, Grace.');
      await hears(grace, 'ada Hello, Grace.');
      await say(grace, 'Hello, Ada.');
      await hears(ada, 'grace Hello, Ada.');
      await look(ada, 'talk');
      const late = await open();
      await signIn(late, 'alan');
      expect(await late.getByRole('listitem').allTextContents()).toEqual(['ada Hello, Grace.', 'grace Hello, Ada.']);
    },
    LIMIT,
  );

  it(
    'names and messages are text, not HTML',
    async () => {
      const html = '<img src=x onerror="document.title=1">';
      const [mallory, ada] = [await open(), await open()];
      await signIn(mallory, html);
      await signIn(ada, 'ada');
      await say(mallory, html);
      await hears(ada, `${html} ${html}`);
      for (const page of [mallory, ada]) expect([await page.locator('img').count(), await page.title()]).toEqual([0, 'Chat']);
      expect(await mallory.locator('.who').textContent()).toBe(`Signed in as ${html}`);
    },
    LIMIT,
  );

  it(
    'signing out in one tab disconnects the other tabs of this browser, and no other browser',
    async () => {
      const [first, phone, grace] = [await open(), await open(), await open()];
      await signIn(first, 'ada');
      await signIn(phone, 'ada');
      await signIn(grace, 'grace');
      const second = await openTab(first.context());
      await second.getByText('Connected.').waitFor();
      await signOut(first, 'Sign out');
      await isSignedOut(second);
      expect(await second.getByRole('button', { name: 'Send' }).isDisabled()).toBe(true);
      await look(second, 'signed-out');
      await say(grace, 'Who is here?');
      await hears(phone, 'grace Who is here?');
      expect(await second.getByRole('listitem').count()).toBe(0);
    },
    LIMIT,
  );

  it(
    'signing out everywhere disconnects all browsers of the user, and no other user',
    async () => {
      const [desk, phone, grace] = [await open(), await open(), await open()];
      await signIn(desk, 'ada');
      await signIn(phone, 'ada');
      await signIn(grace, 'grace');
      await signOut(desk, 'Sign out everywhere');
      await desk.getByText('You are signed out everywhere.').waitFor();
      await isSignedOut(phone);
      await phone.reload();
      await phone.getByLabel('Your name').waitFor();
      await say(grace, 'Alone?');
      await hears(grace, 'grace Alone?');
    },
    LIMIT,
  );

  it(
    'logging in as another user in one tab disconnects the tabs of the user before',
    async () => {
      const first = await open();
      const form = await openTab(first.context());
      await signIn(first, 'ada');
      await signIn(form, 'grace');
      await isSignedOut(first);
    },
    LIMIT,
  );

  it(
    'a cookie lasts for 30 days with "remember me", and ends with the browser without it',
    async () => {
      const page = await open();
      const expiry = async (): Promise<number | undefined> => {
        const cookies = await page.context().cookies();
        return cookies.find(({ name }) => name === 'session')?.expires;
      };
      await signIn(page, 'ada', true);
      const days = ((await expiry()) ?? 0) - Date.now() / 1000;
      expect(days / DAY).toBeCloseTo(30, 1);
      await signOut(page, 'Sign out');
      await signIn(page, 'ada');
      expect(await expiry()).toBe(-1);
    },
    LIMIT,
  );

  it(
    'a socket without a session is disconnected, and hears nothing',
    async () => {
      const page = await open();
      await page.context().clearCookies();
      await page.addScriptTag({ url: '/socket.io/socket.io.js' });
      const outcome = await page.evaluate(`new Promise((resolve) => {
        const socket = io();
        socket.on('messages', () => resolve('messages'));
        socket.on('disconnect', resolve);
        socket.emit('say', 'Hello?');
      })`);
      expect(outcome).toBe('io server disconnect');
    },
    LIMIT,
  );
});
