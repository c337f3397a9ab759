import assert from 'node:assert/strict';
import type { TestRunner } from './test-runner.js';
import { LONG, record, type Fixture } from './fixture.js';

export function describeUpdate({ describe, it }: TestRunner, bench: Fixture): void {
  describe('update', () => {
    it('replaces a record that still has the version, and returns the new one', async () => {
      const { handle } = await bench.stored('first');
      const { version } = await bench.read(handle);
      const next = await bench.update(handle, version, 'second');
      assert.notEqual(next, version);
      await bench.expectText(handle, 'second');
      await bench.expectVersion(handle, next);
    });

    it('takes the version that create returned', async () => {
      const { handle, version } = await bench.stored('first');
      await bench.update(handle, version, 'second');
      await bench.expectText(handle, 'second');
    });

    it('takes the version that the update before returned, again and again', async () => {
      const { handle, version } = await bench.stored('0');
      let base = version;
      for (let round = 1; round <= 12; round++) base = await bench.update(handle, base, String(round));
      await bench.expectText(handle, '12');
    });

    it('takes a version that another instance read', async () => {
      const { handle } = await bench.stored('first');
      const found = await bench.other.read(handle);
      assert.ok(found !== undefined);
      await bench.update(handle, found.version, 'second');
      assert.equal((await bench.other.read(handle))?.payload.length, 'second'.length);
    });

    it('reports a conflict on an older version, and writes nothing', async () => {
      const { handle, version } = await bench.stored('first');
      const next = await bench.update(handle, version, 'second');
      assert.deepEqual(await bench.repository.update(handle, record('third'), version, LONG), { status: 'conflict' });
      await bench.expectText(handle, 'second');
      await bench.expectVersion(handle, next);
    });

    it('reports a conflict when another instance was first', async () => {
      const { handle, version } = await bench.stored('first');
      assert.equal((await bench.other.update(handle, record('second'), version, LONG)).status, 'updated');
      assert.deepEqual(await bench.repository.update(handle, record('third'), version, LONG), { status: 'conflict' });
      await bench.expectText(handle, 'second');
    });

    it('never takes an old version again, nor gives one out twice', async () => {
      const { handle, version } = await bench.stored('0');
      const versions = [version];
      for (let round = 1; round <= 10; round++) versions.push(await bench.update(handle, versions.at(-1) ?? '', 'same text'));
      assert.equal(new Set(versions).size, versions.length);
      for (const old of versions.slice(0, -1))
        assert.deepEqual(await bench.repository.update(handle, record('stale'), old, LONG), { status: 'conflict' });
      await bench.expectText(handle, 'same text');
    });

    it('inserts nothing where there is no record', async () => {
      const { version } = await bench.stored('some other record');
      const handle = bench.handle();
      assert.deepEqual(await bench.repository.update(handle, record('first'), version, LONG), { status: 'gone' });
      await bench.expectAbsent(handle);
    });

    it('inserts nothing where the record was deleted', async () => {
      const { handle, version } = await bench.stored('first');
      await bench.other.delete(handle);
      assert.deepEqual(await bench.repository.update(handle, record('second'), version, LONG), { status: 'gone' });
      await bench.expectAbsent(handle);
    });

    it('lets exactly one of 20 parallel updates on a version win', async () => {
      const { handle, version } = await bench.stored('first');
      const results = await Promise.all(
        Array.from({ length: 20 }, (_unused, index) =>
          (index % 2 === 0 ? bench.repository : bench.rival).update(handle, record(`update ${index}`), version, LONG),
        ),
      );
      const winners = [...results.keys()].filter((index) => results[index]?.status === 'updated');
      assert.equal(winners.length, 1);
      assert.ok(results.every(({ status }) => status !== 'gone'));
      await bench.expectText(handle, `update ${winners[0]}`);
      const winner = results[winners[0] ?? -1];
      assert.ok(winner?.status === 'updated');
      await bench.expectVersion(handle, winner.version);
    });

    it('lets the loser read again and win', async () => {
      const { handle, version } = await bench.stored('first');
      await bench.update(handle, version, 'second');
      assert.equal((await bench.other.update(handle, record('third'), version, LONG)).status, 'conflict');
      const current = await bench.other.read(handle);
      assert.ok(current !== undefined);
      assert.equal((await bench.other.update(handle, record('third'), current.version, LONG)).status, 'updated');
      await bench.expectText(handle, 'third');
    });

    it('makes a record longer and shorter', async () => {
      const texts = ['x', 'x'.repeat(50_000), '', 'xy'];
      const { handle, version } = await bench.stored('first');
      let base = version;
      for (const text of texts) {
        base = await bench.update(handle, base, text);
        await bench.expectText(handle, text);
      }
    });

    it('is a new version even where the bytes are the same', async () => {
      const { handle, version } = await bench.stored('first');
      await bench.update(handle, version, 'first');
      assert.deepEqual(await bench.repository.update(handle, record('first'), version, LONG), { status: 'conflict' });
    });

    it('touches no other record', async () => {
      const { handle: neighbour } = await bench.stored('neighbour');
      const { handle, version } = await bench.stored('first');
      await bench.update(handle, version, 'second');
      await bench.repository.delete(handle);
      await bench.expectText(neighbour, 'neighbour');
    });
  });
}
