import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { itUnless } from '../../servers/it-unless.js';
import { startStore, STORES, type Store, variableOf } from '../support/stores.js';
import { expectPagesMeanwhile } from './degrade.js';
import { mountDiskStore } from './disk-faults.js';
import { expectNothingLost } from './expectations.js';
import { clusterFailover, primaryAndReplica } from './failovers.js';
import { APPLICATION_KILLED, type Fault, SERVER_FAULTS } from './faults.js';
import { type OutageResult, runOutage } from './outage.js';
import { demotedPrimary, REDIS_FAULTS } from './redis-faults.js';
import { outageTable } from './table.js';

const PATIENCE = 120_000;
const LONG = 10_000;

const results: OutageResult[] = [];
afterAll(() => void process.stdout.write(`\n${outageTable(results)}\n`));

const endure = async (name: string, store: Store, fault: Fault): Promise<OutageResult> => {
  const result = await runOutage(name, store, fault, LONG);
  results.push(result);
  expectNothingLost(result, fault);
  return result;
};

describe.each(STORES)('While 32 clients use sessions on %s,', (name) => {
  let store: Store;
  beforeAll(async () => {
    store = await startStore(name);
  }, PATIENCE);
  afterAll(() => store.stop(), PATIENCE);

  const faults = [...(name === 'filesystem' ? [] : SERVER_FAULTS), ...(name === 'redis' ? REDIS_FAULTS : []), APPLICATION_KILLED];
  itUnless(variableOf(name)).each(faults.map((fault) => [fault.name, fault] as const))(
    '%s: nothing acknowledged is lost, nothing hangs, and all recovers',
    async (_name, fault) => void (await endure(name, store, fault)),
    PATIENCE,
  );

  if (name !== 'filesystem')
    itUnless(variableOf(name))("with 'degrade', pages are served while the server is away", () => expectPagesMeanwhile(store), PATIENCE);
});

describe('While 32 clients use sessions on files,', () => {
  it(
    'a disk that is full or read-only loses nothing',
    async () => {
      const disk = mountDiskStore();
      if (disk === undefined) return void process.stdout.write('this process may not mount a disk: no disk is filled\n');
      try {
        for (const fault of disk.faults) {
          const { failed } = await endure('filesystem', disk.store, fault);
          expect(failed).toBeGreaterThan(0);
        }
      } finally {
        await disk.store.stop();
      }
    },
    PATIENCE,
  );
});

describe('While 32 clients use sessions on several Redis servers,', () => {
  it.each([
    ['redis, primary and replica', primaryAndReplica],
    ['redis, primary becomes a replica', demotedPrimary],
    ['redis cluster', clusterFailover],
  ])(
    'a fail-over of %s is survived without a restart',
    async (name, start) => {
      const { store, fault } = await start();
      try {
        await endure(name, store, fault);
      } finally {
        await store.stop();
      }
    },
    PATIENCE,
  );
});
