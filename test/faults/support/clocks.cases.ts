import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ServerSessionOptions } from 'nestjs-server-session';
import { Browser } from '../../e2e/browser.js';
import { ApplicationProcess } from './application-process.js';
import { startStore, type Store, type StoreName } from './stores.js';

const PATIENCE = 90_000;
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** When a lifetime of three seconds is over for every store: the clock of Memcached ticks once a second. */
const ALL_OVER = 4_200;

/** For stores with a clock of their own; files have that of the machine. */
export function describeClocks(name: StoreName): void {
  describe(`Processes whose clocks are wrong by a minute, on ${name},`, () => {
    let store: Store;
    let right: ApplicationProcess;
    let ahead: ApplicationProcess;
    let behind: ApplicationProcess;
    let farAhead: ApplicationProcess;

    const start = (
      clockOffset = 0,
      options: ServerSessionOptions = { touchInterval: 0, absoluteLifetime: '150s' },
    ): Promise<ApplicationProcess> =>
      ApplicationProcess.start({ ...store.session(), lifetime: '3s', regenerateGrace: '1s', ...options }, { clockOffset });
    beforeAll(async () => {
      store = await startStore(name);
      [right, ahead, behind, farAhead] = await Promise.all([start(), start(MINUTE), start(-MINUTE), start(4 * MINUTE)]);
    }, PATIENCE);
    afterAll(async () => {
      await Promise.all([right, ahead, behind, farAhead].map((process) => process.close()));
      await store.stop();
    }, PATIENCE);

    /** The same browser in front of another process. */
    const at = ({ url }: ApplicationProcess, { jar }: Browser): Browser => {
      const browser = new Browser(url);
      for (const [key, value] of jar) browser.jar.set(key, value);
      return browser;
    };
    const begin = async (process: ApplicationProcess): Promise<Browser> => {
      const browser = new Browser(process.url);
      await browser.post('set/n/1');
      return browser;
    };
    const look = async (process: ApplicationProcess, browser: Browser): Promise<unknown> => (await at(process, browser).get('data')).json;
    const everybody = (): ApplicationProcess[] => [right, ahead, behind];

    it(
      'end no session early: whoever begins one, all find it, and what they change stays',
      async () => {
        for (const process of everybody()) {
          const browser = await begin(process);
          for (const other of everybody()) expect(await look(other, browser)).toEqual({ n: '1' });
          for (const other of everybody()) expect((await at(other, browser).post('set/m/2')).status).toBe(201);
          expect(await look(right, browser)).toEqual({ n: '1', m: '2' });
        }
      },
      PATIENCE,
    );

    it(
      'do not prolong one: it ends by the clock of the store, for all of them',
      async () => {
        const browsers = await Promise.all(everybody().map(begin));
        await sleep(ALL_OVER);
        for (const browser of browsers) for (const process of everybody()) expect(await look(process, browser)).toEqual({});
      },
      PATIENCE,
    );

    it(
      'leave no old id alive for longer: it ends for all of them though it is used all the time',
      async () => {
        const browsers = await Promise.all(everybody().map(begin));
        const old = browsers.map((browser) => browser.clone());
        await Promise.all(browsers.map((browser) => browser.post('regenerate')));
        const useAll = (): Promise<unknown[]> => Promise.all(old.flatMap((browser) => everybody().map((other) => look(other, browser))));
        for (let waited = 0; waited < ALL_OVER; waited += 500) {
          await useAll();
          await sleep(500);
        }
        for (const found of await useAll()) expect(found).toEqual({});
      },
      PATIENCE,
    );

    it(
      'end no session in steady use when the clock of one is set back or ahead by an hour, beside one whose clock is right',
      async () => {
        const steady = { lifetime: '8s', touchInterval: '1s' } as const;
        const processes = await Promise.all([0, 1, 2].map(() => start(0, steady)));
        const [setBack, setAhead, other] = processes;
        try {
          const alone = await Promise.all(processes.map(begin));
          const shared = await begin(other!);
          setBack!.setClock(-HOUR);
          setAhead!.setClock(HOUR);
          for (const end = performance.now() + 16_000; performance.now() < end; await sleep(500)) {
            for (const [index, process] of processes.entries()) {
              expect(await look(process, alone[index]!)).toEqual({ n: '1' });
              expect(await look(process, shared)).toEqual({ n: '1' });
            }
          }
        } finally {
          await Promise.all(processes.map((process) => process.close()));
        }
      },
      PATIENCE,
    );

    it(
      'keep the absolute lifetime of 150 s to within that minute: only one that is four minutes ahead finds it over',
      async () => {
        const browser = await begin(right);
        expect(await look(ahead, browser)).toEqual({ n: '1' });
        expect(await look(farAhead, browser)).toEqual({});
      },
      PATIENCE,
    );
  });
}
