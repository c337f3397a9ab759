import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { ADAPTERS, type RunningApplication, startApplication } from '../e2e/application.js';
import { Browser } from '../e2e/browser.js';
import { CountingSerializer } from './support/counting.serializer.js';
import { SessionWorkController } from './support/session-work.controller.js';

/** What may change inside is looked at when the handler is done, which also stores it, and again when the response leaves. */
const LOOKS = 2;

describe.each(ADAPTERS)('On %s, with a session of 21 keys,', (adapter) => {
  const serializer = new CountingSerializer();
  let running: RunningApplication;
  let browser: Browser;

  beforeAll(async () => {
    running = await startApplication({ adapter, session: { type: 'memory', serializer }, controllers: [SessionWorkController] });
  });
  afterAll(() => running.close());

  beforeEach(async () => {
    browser = new Browser(running.url);
    await browser.get('fill');
    serializer.forget();
  });

  it.each(['unused', 'flashes', 'regenerate', 'logout'])("'%s' turns no value into bytes, and none back", async (path) => {
    await browser.get(path);
    expect([serializer.read, serializer.written]).toEqual([[], []]);
  });

  it('reading one number turns that one value back, and nothing into bytes', async () => {
    await browser.get('read');
    expect([serializer.read, serializer.written]).toEqual([['0'], []]);
  });

  it.each([
    ['changing one number', 'change', '0', '1', 1],
    ['setting it to what it is', 'same', '0', '0', 1],
    ['reading one object, inside which something might have changed', 'nested', '{"list":[7]}', '{"list":[7]}', LOOKS],
    ['changing something inside it', 'nested-change', '{"list":[7]}', '{"list":[7,0]}', LOOKS],
  ])('%s has to do with that one value only', async (_what, path, before, after, looks) => {
    await browser.get(path);
    expect(serializer.read).toEqual([before]);
    expect(new Set(serializer.written)).toEqual(new Set([after]));
    expect(serializer.written.length).toBeLessThanOrEqual(looks);
  });
});
