import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ADAPTERS, type RunningApplication, startApplication } from '../e2e/application.js';
import { Browser } from '../e2e/browser.js';
import { RecordingRepository } from '../e2e/recording.repository.js';
import { SessionWorkController } from './support/session-work.controller.js';

describe.each(ADAPTERS)('On %s, the calls of any back end:', (adapter) => {
  const repository = new RecordingRepository();
  let running: RunningApplication;
  let browser: Browser;

  beforeAll(async () => {
    running = await startApplication({ adapter, session: { repository }, controllers: [SessionWorkController] });
  });
  afterAll(() => running.close());

  const callsBy = async (path: string): Promise<string[]> => {
    repository.calls = [];
    expect((await browser.get(path)).status).toBe(200);
    return repository.calls;
  };

  it.each([
    ['unused', []],
    ['read', ['read']],
    ['nested', ['read']],
    ['same', ['read']],
    ['flashes', ['read']],
    ['change', ['read', 'update']],
    ['nested-change', ['read', 'update']],
    ['flash', ['read', 'update']],
    ['regenerate', ['read', 'create', 'update']],
    ['login', ['read', 'create', 'update', 'delete', 'update']],
    ['logout', ['read', 'delete']],
  ])("'%s' on a stored session: %j", async (path, calls) => {
    browser = new Browser(running.url);
    await browser.get('fill');
    expect(await callsBy(path)).toEqual(calls);
  });

  it.each([
    ['unused', []],
    ['read', []],
    ['flashes', []],
    ['regenerate', []],
    ['logout', []],
    ['change', ['create']],
    ['flash', ['create']],
    ['login', ['create']],
  ])("'%s' without a session: %j", async (path, calls) => {
    browser = new Browser(running.url);
    expect(await callsBy(path)).toEqual(calls);
  });
});
