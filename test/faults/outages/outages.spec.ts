import { afterAll, beforeAll, describe } from '@jest/globals';
import { itUnless } from '../../servers/it-unless.js';
import { startStore, type Store, type StoreName, variableOf } from '../support/stores.js';
import { expectPagesMeanwhile } from './degrade.js';
import { expectNothingLost } from './expectations.js';
import { APPLICATION_KILLED, CUT_WITHIN_REPLY, type Fault, HUNG, KILLED } from './faults.js';
import { runOutage } from './outage.js';

const PATIENCE = 180_000;
const SHORT = 1_500;

/** In short: `npm run test:faults` does all faults to all back ends. */
const CASES: [StoreName, Fault[]][] = [
  ['redis', [KILLED, { ...HUNG, name: 'hung (SIGSTOP)' }, CUT_WITHIN_REPLY]],
  ['postgres', [KILLED]],
  ['filesystem', [APPLICATION_KILLED]],
];

describe.each(CASES)('While 32 clients use sessions on %s,', (name, faults) => {
  let store: Store;
  beforeAll(async () => {
    store = await startStore(name);
  }, PATIENCE);
  afterAll(() => store.stop(), PATIENCE);

  itUnless(variableOf(name)).each(faults.map((fault) => [fault.name, fault] as const))(
    '%s: nothing acknowledged is lost, nothing hangs, and all recovers',
    async (_name, fault) => expectNothingLost(await runOutage(name, store, fault, SHORT), fault, store),
    PATIENCE,
  );

  if (name === 'redis')
    itUnless(variableOf(name))("with 'degrade', pages are served while the server is away", () => expectPagesMeanwhile(store), PATIENCE);
});
