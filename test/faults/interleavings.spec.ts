import { beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type Action, isExplained, runInterleaved, TwoProcesses } from './support/interleaving.js';

/** 500 each in `npm test`; the full run asks for 10,000. */
const RUNS = Number(process.env['FAULT_RUNS'] ?? 500);
const PATIENCE = 20_000 + RUNS * 60;

const key = fc.constantFrom('a', 'b', 'c');
const value = fc.nat(9);
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('set' as const), key, value }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('delete' as const), key }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('nest' as const), key: fc.constant('list'), value }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('save' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('regenerate' as const) }) },
);
const request = fc.array(action, { minLength: 1, maxLength: 4 });
const requests = fc.array(request, { minLength: 2, maxLength: 4 });
const withDestroy = fc
  .tuple(requests, request, fc.nat(4))
  .map(([others, last, at]) => others.toSpliced(at, 0, [...last, { do: 'destroy' as const }]));

/** Requests of one session in two processes; the order of the store's commands and answers is any at all. */
describe('However requests interleave,', () => {
  let processes: TwoProcesses;
  beforeAll(async () => {
    processes = await TwoProcesses.start();
  });

  /** In how many runs a destroyed session was there in the end. */
  const revivals = async (runs: number): Promise<number> => {
    let revived = 0;
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), withDestroy, async (scheduler, actions) => {
        const { isDestroyed, last, liveRecords } = await runInterleaved(processes, scheduler, actions);
        expect(isDestroyed).toBe(true);
        if (last.length > 0 || liveRecords > 0) revived++;
      }),
      { numRuns: runs },
    );
    return revived;
  };

  it(
    'some serial order of their changes explains what is stored, and both processes see it',
    async () => {
      await fc.assert(
        fc.asyncProperty(fc.scheduler(), requests, async (scheduler, actions) => {
          const outcome = await runInterleaved(processes, scheduler, actions);
          expect(isExplained(outcome)).toBe(true);
          expect(outcome.liveRecords).toBe(1);
        }),
        { numRuns: RUNS },
      );
    },
    PATIENCE,
  );

  it(
    'a session that one of them destroyed is gone under every id, and stays it',
    async () => {
      expect(await revivals(RUNS)).toBe(0);
    },
    PATIENCE,
  );

  it(
    'a store that brings back what is gone would be noticed',
    async () => {
      processes.store.updateInserts = true;
      expect(await revivals(100)).toBeGreaterThan(0);
      processes.store.updateInserts = false;
    },
    PATIENCE,
  );
});
