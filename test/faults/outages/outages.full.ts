import { afterAll, beforeAll, describe, it } from '@jest/globals';
import { itUnless } from '../../servers/it-unless.js';
import type { ClientOwner } from '../support/application-process.js';
import { startStore, STORES, type Store, TRAITS, variableOf } from '../support/stores.js';
import { expectPagesMeanwhile } from './degrade.js';
import { DISK_STORES } from './disk-faults.js';
import { expectNothingLost } from './expectations.js';
import { clusterFailover, demotedPrimary, primaryAndReplica } from './failovers.js';
import { type Fault, faultsFor } from './faults.js';
import { type OutageResult, runOutage } from './outage.js';
import { outageRow, outageTable } from './table.js';

const PATIENCE = 240_000;
const LONG = 10_000;

const results: OutageResult[] = [];
afterAll(() => void process.stdout.write(`\n${outageTable(results)}\n`));

const endure = async (name: string, store: Store, fault: Fault, client?: ClientOwner): Promise<void> => {
  const result = await runOutage(name, store, fault, fault.full ?? LONG, client);
  results.push(result);
  // The whole table comes in the end, and a run takes long.
  process.stdout.write(`${outageRow(result)}\n`);
  expectNothingLost(result, fault, store);
};

const CLIENTS: [string, ClientOwner][] = [
  ['by a client of its own:', 'own'],
  ['by a client of the application:', 'application'],
];

describe.each(STORES)('While 32 clients use sessions on %s,', (name) => {
  let store: Store;
  beforeAll(async () => {
    store = await startStore(name);
  }, PATIENCE);
  afterAll(() => store.stop(), PATIENCE);

  const hasServer = TRAITS[name].includes('server');
  describe.each(hasServer ? CLIENTS : CLIENTS.slice(0, 1))('%s', (_name, client) => {
    const faults = faultsFor(TRAITS[name]).filter(({ isOfConnections = false }) => client === 'own' || isOfConnections);
    itUnless(variableOf(name)).each(faults.map((fault) => [fault.name, fault] as const))(
      '%s: nothing acknowledged is lost, nothing ended comes back, nothing hangs, and all recovers',
      (_fault, fault) => endure(name, store, fault, client),
      PATIENCE,
    );
  });

  if (hasServer)
    itUnless(variableOf(name))("with 'degrade', pages are served while the server is away", () => expectPagesMeanwhile(store), PATIENCE);
});

describe.each(DISK_STORES)('While 32 clients use sessions on a small disk, by $name,', ({ name, traits, start }) => {
  it(
    'one that is full or read-only loses nothing',
    async () => {
      const store = await start();
      if (store === undefined) return void process.stdout.write('this process may not mount a disk: no disk is filled\n');
      try {
        for (const fault of faultsFor(traits)) if (!fault.endsApplication) await endure(`${name}, disk`, store, fault);
      } finally {
        await store.stop();
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
