import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { isListable, type ListableSessionRepository, type ListedRecord } from '../repositories/session-repository.js';
import { SharedWait } from './shared-wait.js';
import type { TestRunner } from './test-runner.js';
import { LONG, textOf, type Fixture } from './fixture.js';

/** A name that nobody else uses. */
function principal(suffix = ''): string {
  return `user-${randomUUID()}${suffix}`;
}

export function describeListing(runner: TestRunner, bench: Fixture): void {
  const { describe, it } = runner;
  const listable = (): ListableSessionRepository => {
    const { repository } = bench;
    assert.ok(isListable(repository));
    return repository;
  };
  const handlesOf = async (name: string): Promise<string[]> =>
    (await listAll(listable(), { principal: name, limit: 100 })).map(({ handle }) => handle).sort();

  describe('listing', () => {
    it('gives the sessions of a principal, and no others', async () => {
      const [ann, bob] = [principal(), principal()];
      const of = [ann, ann, bob, undefined, ann].map((name) => bench.stored('text', LONG, name));
      const [first, second, third, , fifth] = await Promise.all(of);
      assert.deepEqual(await handlesOf(ann), [first, second, fifth].map((stored) => stored?.handle ?? '').sort());
      assert.deepEqual(await handlesOf(bob), [third?.handle]);
    });

    it('gives handle, bytes, principal, and a version that is good for an update', async () => {
      const name = principal();
      const { handle } = await bench.stored('hello', LONG, name);
      const [found] = await listAll(listable(), { principal: name, limit: 10 });
      assert.ok(found !== undefined);
      assert.deepEqual([found.handle, textOf(found), found.principal], [handle, 'hello', name]);
      await bench.update(handle, found.version, 'second', LONG, name);
    });

    it('gives nothing for a principal without sessions', async () => {
      assert.deepEqual(await handlesOf(principal()), []);
      assert.equal(await listable().count({ principal: principal() }), 0);
    });

    it('gives all sessions, those of nobody included', async () => {
      const stored = await Promise.all([principal(), undefined, principal()].map((name) => bench.stored('text', LONG, name)));
      const all = (await listAll(listable(), { limit: 50 })).map(({ handle }) => handle);
      assert.equal(new Set(all).size, all.length);
      for (const { handle } of stored) assert.ok(all.includes(handle));
    });

    it('counts the sessions of a principal, and all', async () => {
      const name = principal();
      const before = await listable().count({ principal: name });
      await Promise.all([1, 2, 3].map(() => bench.stored('text', LONG, name)));
      assert.deepEqual([before, await listable().count({ principal: name })], [0, 3]);
      assert.ok((await listable().count({})) >= 3);
    });

    it('comes in pages that are complete and without duplicates', async () => {
      const name = principal();
      const stored = await Promise.all(bench.handles(25).map((handle) => bench.create(handle, 'x', LONG, name).then(() => handle)));
      for (const limit of [1, 7, 25, 100]) {
        const found = (await listAll(listable(), { principal: name, limit })).map(({ handle }) => handle);
        assert.deepEqual(found.sort(), [...stored].sort(), `limit ${limit}`);
      }
    });

    it('misses no session and gives none twice while others come and go', async () => {
      const name = principal();
      const newSession = async (): Promise<string> => (await bench.stored('x', LONG, name)).handle;
      const staying = await Promise.all(Array.from({ length: 20 }, newSession));
      const going = await Promise.all(Array.from({ length: 10 }, newSession));
      const found: string[] = [];
      let cursor: string | undefined;
      do {
        const page = await listable().list({ principal: name, cursor, limit: 4 });
        found.push(...page.records.map(({ handle }) => handle));
        cursor = page.cursor;
        const leaving = going.pop();
        if (leaving !== undefined) {
          await bench.other.delete(leaving);
          await newSession();
        }
      } while (cursor !== undefined);
      assert.equal(new Set(found).size, found.length);
      for (const handle of staying) assert.ok(found.includes(handle));
    });

    it('follows a session that changes its principal, and one that loses it', async () => {
      const [ann, bob] = [principal(), principal()];
      const { handle, version } = await bench.stored('first', LONG, ann);
      const next = await bench.update(handle, version, 'second', LONG, bob);
      assert.deepEqual([await handlesOf(ann), await handlesOf(bob)], [[], [handle]]);
      assert.equal((await bench.read(handle)).principal ?? bob, bob);
      const last = await bench.update(handle, next, 'third', LONG, undefined);
      assert.deepEqual([await handlesOf(ann), await handlesOf(bob)], [[], []]);
      await bench.update(handle, last, 'fourth', LONG, ann);
      assert.deepEqual([await handlesOf(ann), await listable().count({ principal: ann })], [[handle], 1]);
    });

    it('does not follow an update that fails', async () => {
      const [ann, bob] = [principal(), principal()];
      const { handle, version } = await bench.stored('first', LONG, ann);
      await bench.update(handle, version, 'second', LONG, ann);
      await bench.repository.update(handle, { payload: Buffer.from('third'), principal: bob }, version, LONG);
      await bench.repository.create(handle, { payload: Buffer.from('fourth'), principal: bob }, LONG);
      assert.deepEqual([await handlesOf(ann), await handlesOf(bob)], [[handle], []]);
    });

    it('leaves out what was deleted', async () => {
      const name = principal();
      const { handle } = await bench.stored('first', LONG, name);
      const { handle: staying } = await bench.stored('first', LONG, name);
      await bench.other.delete(handle);
      assert.deepEqual([await handlesOf(name), await listable().count({ principal: name })], [[staying], 1]);
    });

    it('gives bytes that are the caller’s own', async () => {
      const name = principal();
      const { handle } = await bench.stored('hello', LONG, name);
      for (const { payload } of await listAll(listable(), { principal: name, limit: 10 })) payload.fill(0);
      await bench.expectText(handle, 'hello');
    });

    it('knows principals by every character, case and space', async () => {
      const stem = principal();
      const names = ODD_ENDS.map((end) => `${stem}${end}`);
      const stored = await Promise.all(names.map((name) => bench.stored('text', LONG, name)));
      for (const [index, name] of names.entries())
        assert.deepEqual(await handlesOf(name), [stored[index]?.handle], `the principal ${JSON.stringify(ODD_ENDS[index])}`);
    });

    describe('after a while', () => {
      const wait = new SharedWait(bench);
      const { short } = wait;

      wait.it('leaves out what has expired', async () => {
        const name = principal();
        await bench.stored('short', short, name);
        const { handle } = await bench.stored('long', LONG, name);
        return async () => {
          assert.deepEqual([await handlesOf(name), await listable().count({ principal: name })], [[handle], 1]);
        };
      });

      wait.it('finds what was touched or updated', async () => {
        const name = principal();
        const { handle: touched } = await bench.stored('short', short, name);
        await bench.read(touched, LONG);
        const { handle: updated, version } = await bench.stored('short', short, name);
        await bench.update(updated, version, 'long', LONG, name);
        return async () => assert.deepEqual(await handlesOf(name), [touched, updated].sort());
      });

      wait.it('has prolonged nothing', async () => {
        const name = principal();
        const { handle } = await bench.stored('short', short, name);
        await handlesOf(name);
        await listable().count({ principal: name });
        return () => bench.expectAbsent(handle);
      });

      wait.register(runner);
    });
  });
}

/** What is special somewhere: in patterns, in SQL, in keys, in collations that ignore case, accents or spaces at the end. */
const ODD_ENDS = [
  '',
  'a',
  'A',
  'á',
  ' ',
  "'",
  '"',
  '`',
  '%',
  '_',
  '*',
  '?',
  '[a]',
  '{a}',
  ':',
  '/',
  '\\',
  '$x',
  '.',
  '\n',
  '💡',
  'ß',
  'ss',
];

async function listAll(
  repository: ListableSessionRepository,
  query: { readonly principal?: string; readonly limit: number },
): Promise<ListedRecord[]> {
  const records: ListedRecord[] = [];
  let cursor: string | undefined;
  do {
    const page = await repository.list({ ...query, cursor });
    records.push(...page.records);
    cursor = page.cursor;
  } while (cursor !== undefined);
  return records;
}
