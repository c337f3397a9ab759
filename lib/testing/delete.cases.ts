import assert from 'node:assert/strict';
import type { TestRunner } from './test-runner.js';
import { LONG, record, type Fixture } from './fixture.js';

const ROUNDS = 60;

export function describeDelete({ describe, it }: TestRunner, bench: Fixture): void {
  describe('delete', () => {
    it('removes a record, for every instance, and says that there was one', async () => {
      const { handle } = await bench.stored();
      assert.equal(await bench.repository.delete(handle), true);
      await bench.expectAbsent(handle);
    });

    it('says that there was none', async () => {
      assert.equal(await bench.repository.delete(bench.handle()), false);
    });

    it('says true once, and false afterwards', async () => {
      const { handle } = await bench.stored();
      assert.deepEqual(
        [await bench.repository.delete(handle), await bench.repository.delete(handle), await bench.other.delete(handle)],
        [true, false, false],
      );
    });

    it('says true to exactly one of several at once', async () => {
      const { handle } = await bench.stored();
      const answers = await Promise.all(
        Array.from({ length: 10 }, (_unused, index) => (index % 2 === 0 ? bench.repository : bench.rival).delete(handle)),
      );
      assert.equal(answers.filter(Boolean).length, 1);
      await bench.expectAbsent(handle);
    });

    it('is not undone by a touch, an update, or both', async () => {
      const { handle, version } = await bench.stored();
      await bench.repository.delete(handle);
      assert.equal(await bench.other.read(handle, LONG), undefined);
      assert.deepEqual(await bench.other.update(handle, record('second'), version, LONG), { status: 'gone' });
      assert.equal(await bench.repository.read(handle, LONG), undefined);
      await bench.expectAbsent(handle);
    });

    it('removes a record of any version', async () => {
      const { handle, version } = await bench.stored();
      await bench.update(handle, await bench.update(handle, version, 'second'), 'third');
      assert.equal(await bench.other.delete(handle), true);
      await bench.expectAbsent(handle);
    });

    it('removes a record that still has the given version', async () => {
      const { handle, version } = await bench.stored();
      assert.equal(await bench.other.delete(handle, version), true);
      await bench.expectAbsent(handle);
      assert.equal(await bench.repository.delete(handle, version), false);
    });

    it('leaves a record alone that has another version than the given one', async () => {
      const { handle, version } = await bench.stored();
      const second = await bench.update(handle, version, 'second');
      assert.equal(await bench.other.delete(handle, version), false);
      await bench.expectText(handle, 'second');
      await bench.expectVersion(handle, second);
    });

    it(`never deletes what an update of the same version has just written, ${ROUNDS} times of ${ROUNDS}`, async () => {
      for (let round = 0; round < ROUNDS; round++) {
        const { handle, version } = await bench.stored();
        const update = (): Promise<{ status: string }> => bench.repository.update(handle, record('second'), version, LONG);
        const remove = (): Promise<boolean> => bench.rival.delete(handle, version);
        const [first, second] = round % 2 === 0 ? [update(), remove()] : [remove(), update()];
        const outcomes = (await Promise.all([first, second])).map((outcome) =>
          typeof outcome === 'boolean' ? outcome : outcome.status === 'updated',
        );
        assert.equal(outcomes.filter(Boolean).length, 1, 'exactly one of the two wins');
      }
    });

    it(`wins against an update that is under way, ${ROUNDS} times of ${ROUNDS}`, async () => {
      for (let round = 0; round < ROUNDS; round++) {
        const { handle, version } = await bench.stored();
        const update = (): Promise<unknown> => bench.repository.update(handle, record('second'), version, LONG);
        const remove = (): Promise<boolean> => bench.rival.delete(handle);
        const [first, second] = round % 2 === 0 ? [update(), remove()] : [remove(), update()];
        await Promise.all([first, second]);
        await bench.expectAbsent(handle);
      }
    });

    it(`wins against a touch that is under way, ${ROUNDS} times of ${ROUNDS}`, async () => {
      for (let round = 0; round < ROUNDS; round++) {
        const { handle } = await bench.stored();
        await Promise.all([bench.repository.read(handle, LONG), bench.rival.delete(handle), bench.repository.read(handle, LONG)]);
        await bench.expectAbsent(handle);
      }
    });
  });
}
