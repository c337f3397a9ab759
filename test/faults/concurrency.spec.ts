import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Browser } from '../e2e/browser.js';
import { ApplicationProcess } from './support/application-process.js';
import { startStore, type Store, STORES } from './support/stores.js';

const PATIENCE = 90_000;
const REQUESTS = 100;

/** Two applications in two processes on one real store. */
describe.each(STORES)('Parallel requests of one session in two processes, on %s,', (name) => {
  let store: Store;
  let processes: ApplicationProcess[] = [];

  beforeAll(async () => {
    store = await startStore(name);
    // Generous: what is measured here is what is kept, and the machine may be busy.
    processes = await Promise.all([0, 1].map(() => ApplicationProcess.start({ storeTimeout: '20s', ...store.session() })));
  }, PATIENCE);
  afterAll(async () => {
    await Promise.all(processes.map((process) => process.close()));
    await store.stop();
  }, PATIENCE);

  /** Windows of one browser: each request goes to the next process. */
  const windows = async (): Promise<Browser[]> => {
    const first = new Browser(processes[0]?.url ?? '');
    expect((await first.post('set/kept/1')).status).toBe(201);
    const second = new Browser(processes[1]?.url ?? '');
    for (const [cookie, value] of first.jar) second.jar.set(cookie, value);
    return [first, second];
  };
  /** Sends all at once, in turns to both; every one has to succeed. */
  const all = async (browsers: Browser[], paths: string[]): Promise<void> => {
    const answers = await Promise.all(paths.map((path, index) => browsers[index % browsers.length]?.post(path)));
    expect(answers.map((answer) => answer?.status)).toEqual(paths.map(() => 201));
  };
  const numbers = Array.from({ length: REQUESTS }, (_unused, index) => index);

  it(
    'that each set a different key: every key is there',
    async () => {
      const browsers = await windows();
      await all(
        browsers,
        numbers.map((n) => `set/key-${n}/${n}`),
      );
      const expected = { kept: '1', ...Object.fromEntries(numbers.map((n) => [`key-${n}`, String(n)])) };
      for (const browser of browsers) expect((await browser.get('data')).json).toEqual(expected);
    },
    PATIENCE,
  );

  it(
    'that count with update(): nothing is lost',
    async () => {
      const browsers = await windows();
      await all(
        browsers,
        numbers.slice(0, 40).map(() => 'increment/n'),
      );
      for (const browser of browsers) expect((await browser.get('data')).json).toEqual({ kept: '1', n: 40 });
    },
    PATIENCE,
  );

  it(
    'that delete and set: both happen',
    async () => {
      const browsers = await windows();
      const some = numbers.slice(0, 20);
      for (const n of some) await browsers[0]?.post(`set/old-${n}/1`);
      await all(
        browsers,
        some.flatMap((n) => [`delete/old-${n}`, `set/new-${n}/1`]),
      );
      const expected = { kept: '1', ...Object.fromEntries(some.map((n) => [`new-${n}`, '1'])) };
      for (const browser of browsers) expect((await browser.get('data')).json).toEqual(expected);
    },
    PATIENCE,
  );

  it(
    'that leave flash messages: each is there once',
    async () => {
      const browsers = await windows();
      const messages = numbers.slice(0, 30).map((n) => `message-${n}`);
      await all(
        browsers,
        messages.map((message) => `flash/${message}`),
      );
      expect(new Set((await browsers[1]?.post('flashes'))?.json as string[])).toEqual(new Set(messages));
      expect((await browsers[0]?.post('flashes'))?.json).toEqual([]);
    },
    PATIENCE,
  );

  it(
    'that set the same key: the later save wins',
    async () => {
      const [first, second] = (await windows()) as [Browser, Browser];
      const early = first.post('slow/300/key/saved-late');
      await new Promise((resolve) => setTimeout(resolve, 100));
      await second.post('set/key/saved-early');
      await early;
      expect((await second.get('data')).json).toEqual({ kept: '1', key: 'saved-late' });
    },
    PATIENCE,
  );

  it(
    'one of which logs out: the session is gone for both, and no cookie is sent for it',
    async () => {
      const [first, second] = (await windows()) as [Browser, Browser];
      const late = first.post('slow/300/key/late');
      await new Promise((resolve) => setTimeout(resolve, 100));
      expect((await second.clone().post('destroy')).status).toBe(201);
      const answer = await late;
      expect([answer.status, answer.cookies]).toEqual([201, []]);
      for (const browser of [first, second]) expect((await browser.get('data')).json).toEqual({});
    },
    PATIENCE,
  );
});
