import assert from 'node:assert/strict';
import { isListable } from '../repositories/session-repository.js';
import { describeConcurrency } from './concurrency.cases.js';
import { describeCreate } from './create.cases.js';
import { describeDelete } from './delete.cases.js';
import { describeExpiry } from './expiry.cases.js';
import { describeHandles } from './handle.cases.js';
import { describeListing } from './listing.cases.js';
import { describeRead } from './read.cases.js';
import { DEFAULT_TRAITS, type RepositoryTraits } from './repository-traits.js';
import { findTestRunner } from './test-runner.js';
import { describeUpdate } from './update.cases.js';
import { type RepositoryFactory, Fixture } from './fixture.js';

/**
 * The conformance suite: what every `SessionRepository` has to do, as test cases. To be called at the top level of a test file
 * of jest, mocha, `node:test`, or vitest with `globals: true`.
 *
 * ```ts
 * describeSessionRepository('my store', () => new MyRepository(url), { lists: false });
 * ```
 *
 * It uses random handles and deletes what it has created, so the store needs no flushing. It calls `onModuleInit` and
 * `onApplicationShutdown` of what it is given.
 *
 * @param name how the output calls the back end.
 * @param factory makes a repository. It is called twice, and each call has to give another instance over the same store, as
 *   two processes would have it (see `RepositoryTraits.shared`). It runs after the `beforeAll` hooks of the file.
 * @param traits what the back end declares about itself.
 */
export function describeSessionRepository(name: string, factory: RepositoryFactory, traits: RepositoryTraits = {}): void {
  const runner = findTestRunner();
  const bench = new Fixture(factory, { ...DEFAULT_TRAITS, ...traits });
  runner.describe(`${name} as a session repository`, () => {
    runner.beforeAll(() => bench.open());
    runner.afterAll(() => bench.close());

    runner.it(`${bench.traits.lists ? 'can' : 'cannot'} list, as declared`, async () => {
      assert.equal(isListable(bench.repository), bench.traits.lists, "declare it with the trait 'lists'");
    });
    describeCreate(runner, bench);
    describeRead(runner, bench);
    describeUpdate(runner, bench);
    describeDelete(runner, bench);
    describeExpiry(runner, bench);
    describeHandles(runner, bench);
    describeConcurrency(runner, bench);
    if (bench.traits.lists) describeListing(runner, bench);
  });
}
