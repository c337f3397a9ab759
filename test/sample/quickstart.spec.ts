import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ADAPTERS } from '../e2e/application.js';
import type { Browser } from '../e2e/browser.js';
import { BACK_ENDS, type Place } from './back-ends.js';
import { type BuiltSamples, buildSamples } from './sample-build.js';
import { Shop } from './shop.js';

let samples: BuiltSamples;
let cwd: string;
let shop: Shop | undefined;

const open = async (env: Readonly<Record<string, string>>): Promise<Shop> => (shop = await Shop.open(samples.folder, cwd, env));

/** Fills in a form of the page and follows the redirect back to it. */
async function submit(browser: Browser, action: string, fields: Record<string, string> = {}): Promise<string> {
  const { status, headers } = await browser.post(action, new URLSearchParams(fields));
  expect([status, headers.get('location')]).toEqual([303, '/']);
  return (await browser.get('/')).text;
}

beforeAll(async () => {
  [samples, cwd] = await Promise.all([buildSamples(), mkdtemp(join(tmpdir(), 'shop-cwd-'))]);
}, 120_000);
afterEach(async () => {
  await shop?.close();
  shop = undefined;
});
afterAll(async () => {
  await samples.remove();
  await rm(cwd, { recursive: true, force: true });
});

describe.each(BACK_ENDS)('The shop on $name', ({ start }) => {
  let place: Place;
  beforeAll(async () => {
    place = await start();
  }, 120_000);
  afterAll(() => place.remove());

  it.each(ADAPTERS)(
    'keeps a cart from log-in to sign-out, and over a restart (%s)',
    async (adapter) => {
      const env = { ...place.env, ADAPTER: adapter };
      const first = await open(env);
      const browser = first.visitor();
      expect((await browser.get('/api/shop')).json).toEqual({ user: null, cart: {}, total: 0, messages: [] });
      expect(browser.jar.size).toBe(0);

      await browser.post('/api/cart', { product: 'cup' });
      const before = browser.clone();
      expect((await browser.post('/api/login', { name: 'Ada' })).status).toBe(204);
      expect(browser.jar.get('session')).not.toBe(before.jar.get('session'));
      expect((await before.get('/api/shop')).json).toMatchObject({ user: null, cart: {} });
      await browser.post('/api/cart', { product: 'tea' });
      await browser.post('/api/cart', { product: 'tea' });

      const { json } = await browser.get('/api/shop');
      expect(json).toMatchObject({ user: 'Ada', cart: { cup: 1, tea: 2 }, total: 2930 });
      expect(json).toMatchObject({ messages: expect.arrayContaining(['Welcome, Ada.', 'Green tea, 100 g is in your cart.']) });
      expect((await browser.get('/api/shop')).json).toMatchObject({ messages: [] });

      await first.close();
      const second = await open(env);
      const later = second.visitor(browser);
      expect((await later.get('/api/shop')).json).toEqual({ user: 'Ada', cart: { cup: 1, tea: 2 }, total: 2930, messages: [] });

      const old = later.clone();
      expect((await later.post('/api/logout')).status).toBe(204);
      expect((await later.get('/api/shop')).json).toEqual({ user: null, cart: {}, total: 0, messages: ['You are signed out.'] });
      expect((await old.get('/api/shop')).json).toEqual({ user: null, cart: {}, total: 0, messages: [] });
    },
    60_000,
  );
});

describe.each(ADAPTERS)('The page of the shop (%s)', (adapter) => {
  let browser: Browser;
  const visit = async (): Promise<void> => {
    browser = (await open({ SESSION_TYPE: 'memory', ADAPTER: adapter })).visitor();
  };

  it('can be clicked through without scripts', async () => {
    await visit();
    const anonymous = await browser.get('/');
    expect(anonymous.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(anonymous.text).toContain('action="/login"');
    expect(anonymous.text).not.toContain('<script');

    expect(await submit(browser, '/login', { name: 'Ada' })).toContain('Signed in as <strong>Ada</strong>');
    const filled = await submit(browser, '/cart', { product: 'pot' });
    expect(filled).toContain('1 × Stoneware pot &#38; lid');
    expect(filled).toContain('Stoneware pot &#38; lid is in your cart.');
    expect((await browser.get('/')).text).not.toContain('is in your cart.');
    expect(await submit(browser, '/cart/remove', { product: 'pot' })).toContain('Nothing yet.');
    const farewell = await submit(browser, '/logout');
    expect(farewell).toContain('You are signed out.');
    expect(farewell).toContain('action="/login"');
  }, 60_000);

  it('escapes what a visitor typed', async () => {
    await visit();
    const page = await submit(browser, '/login', { name: `<img src=x onerror='1'>"` });
    expect(page).toContain('&#60;img src=x onerror=&#39;1&#39;&#62;&#34;');
    expect(page).not.toContain('<img');
  }, 60_000);

  it('says what was wrong, and changes nothing', async () => {
    await visit();
    expect(await submit(browser, '/cart', { product: '__proto__' })).toContain('There is no such product.');
    expect(await submit(browser, '/cart/remove', { product: 'tea' })).toContain('That is not in your cart.');
    expect(await submit(browser, '/login', { name: ' ' })).toContain('Give a name of 1 to 40 characters.');
    expect((await browser.post('/api/cart', {})).status).toBe(404);
    expect((await browser.post('/api/login', { name: ['Ada'] })).status).toBe(400);
    expect((await browser.get('/api/shop')).json).toMatchObject({ user: null, cart: {} });
  }, 60_000);
});

describe('Without a back end (null), the shop', () => {
  it.each(ADAPTERS)(
    'shows an empty cart and fails to fill it (%s)',
    async (adapter) => {
      const browser = (await open({ SESSION_TYPE: 'null', ADAPTER: adapter })).visitor();
      expect((await browser.get('/api/shop')).json).toMatchObject({ user: null, cart: {} });
      expect((await browser.post('/api/cart', { product: 'tea' })).status).toBe(500);
      await shop?.process.printed(/NullSessionError.*set the option 'type'/);
    },
    60_000,
  );
});
