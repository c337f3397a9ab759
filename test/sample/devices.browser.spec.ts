import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { launchChromium } from './chromium.js';
import { DevicesSample } from './devices-sample.js';
import { type BuiltSamples, buildSamples } from './sample-build.js';

const LIMIT = 180_000;
/** Milliseconds for one step in the browser, on machines that do other things as well. */
const PATIENCE = 60_000;
/** For looking at the pages: a folder for a picture of each. */
const PICTURES = process.env['SAMPLE_PICTURES'];

let samples: BuiltSamples;
let cwd: string;
let chromium: Browser;
let sample: DevicesSample;
const contexts: BrowserContext[] = [];

beforeAll(async () => {
  [samples, cwd, chromium] = await Promise.all([buildSamples(), mkdtemp(join(tmpdir(), 'devices-')), launchChromium()]);
}, 600_000);
afterEach(async () => {
  await Promise.all(contexts.splice(0).map((context) => context.close()));
  await sample.close();
});
afterAll(async () => {
  await chromium?.close();
  await samples?.remove();
  if (cwd) await rm(cwd, { recursive: true, force: true });
});

const SIZES = [
  { width: 1280, height: 800, colorScheme: 'light' },
  { width: 390, height: 844, colorScheme: 'dark' },
] as const;

describe.each(SIZES)('In Chromium, at $width × $height, in $colorScheme colours', ({ colorScheme, ...viewport }) => {
  const open = async (options: { javaScriptEnabled?: boolean } = {}): Promise<Page> => {
    const context = await chromium.newContext({ viewport, colorScheme, ...options });
    context.setDefaultTimeout(PATIENCE);
    contexts.push(context);
    const page = await context.newPage();
    await page.goto(sample.url);
    return page;
  };
  const signIn = async (page: Page, name: string, password: string): Promise<void> => {
    await page.getByLabel('Name').fill(name);
    await page.getByLabel('Password').fill(password);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText(`Welcome, ${name}.`).waitFor();
  };
  const look = async (page: Page, name: string): Promise<void> => {
    const fits = await page.evaluate('document.documentElement.scrollWidth <= document.documentElement.clientWidth');
    expect([name, fits]).toEqual([name, true]);
    if (PICTURES) await page.screenshot({ path: join(PICTURES, `${name}-${viewport.width}.png`), fullPage: true });
  };
  const start = async (): Promise<void> => {
    sample = await DevicesSample.open(samples.folder, cwd, { SESSION_TYPE: 'memory' });
  };

  it(
    'one device signs out the other, while an administrator watches',
    async () => {
      await start();
      const [first, second, admin] = [await open(), await open(), await open()];
      await look(first, 'sign-in');
      await first.getByLabel('Name').fill('ada');
      await first.getByLabel('Password').fill('wrong');
      await first.getByRole('button', { name: 'Sign in' }).click();
      await first.getByText('Name and password do not belong together.').waitFor();
      await look(first, 'wrong-password');

      await signIn(admin, 'grace', 'nanoseconds');
      await admin.getByRole('link', { name: 'Who is signed in' }).click();
      await admin.getByText('Live.').waitFor();
      const ofAda = admin.locator('[data-count="user-ada"]');
      const sees = (count: string): Promise<void> => ofAda.filter({ hasText: new RegExp(`^${count}$`) }).waitFor();
      await sees('0');

      await signIn(first, 'ada', 'analytical engine');
      await sees('1');
      await signIn(second, 'ada', 'analytical engine');
      await sees('2');
      await look(admin, 'admin');
      await second.reload();
      await second.getByText('signed in on 2 devices').waitFor();
      await look(second, 'devices');

      await first.reload();
      await first.getByRole('button', { name: 'Sign out everywhere else' }).click();
      await first.getByText('One other device is signed out.').waitFor();
      await look(first, 'signed-out-others');
      await sees('1');

      await second.getByRole('button', { name: /^Sign out this one: Chrome on Linux/ }).click();
      await second.getByLabel('Password').waitFor();
      await look(second, 'anonymous');
      await first.reload();
      await first.getByText('this device only').waitFor();

      await second.goto(`${sample.url}/admin`);
      await second.getByRole('alert').getByText('This page is for administrators').waitFor();
      await look(second, 'refused');
    },
    LIMIT,
  );

  it(
    'everything but the live counts works without JavaScript, and with the keyboard alone',
    async () => {
      await start();
      const page = await open({ javaScriptEnabled: false });
      await page.getByLabel('Name').focus();
      await page.keyboard.type('grace');
      await page.keyboard.press('Tab');
      await page.keyboard.type('nanoseconds');
      await page.keyboard.press('Enter');
      await page.getByText('Welcome, grace.').waitFor();
      await page.getByRole('link', { name: 'Who is signed in' }).focus();
      await page.keyboard.press('Enter');
      await page.getByText('As of when this page was loaded.').waitFor();
      expect(await page.locator('[data-count="user-grace"]').textContent()).toBe('1');
      await page.getByRole('button', { name: 'Sign out' }).focus();
      await page.keyboard.press('Enter');
      await page.getByText('You are signed out.').waitFor();
    },
    LIMIT,
  );
});
