import assert from 'node:assert/strict';
import type { TestRunner } from './test-runner.js';
import { assertBytes, LONG, record, textOf, type Fixture } from './fixture.js';

export function describeRead({ describe, it }: TestRunner, bench: Fixture): void {
  describe('read', () => {
    it('answers undefined for an absent record', async () => {
      await bench.expectAbsent(bench.handle());
    });

    it('creates nothing: the handle is still free afterwards', async () => {
      const handle = bench.handle();
      await bench.repository.read(handle);
      await bench.repository.read(handle, LONG);
      assert.notEqual(await bench.other.create(handle, record('first'), LONG), undefined);
    });

    it('does not make a record by touching an absent one', async () => {
      const handle = bench.handle();
      assert.equal(await bench.repository.read(handle, LONG), undefined);
      await bench.expectAbsent(handle);
    });

    it('gives bytes that are the caller’s own', async () => {
      const { handle } = await bench.stored('hello');
      (await bench.read(handle)).payload.fill(0);
      (await bench.read(handle, LONG)).payload.fill(0);
      await bench.expectText(handle, 'hello');
    });

    it('gives the same to many readers at once', async () => {
      const { handle, version } = await bench.stored('hello');
      const found = await Promise.all(
        Array.from({ length: 50 }, (_unused, index) => (index % 2 === 0 ? bench.repository : bench.other).read(handle)),
      );
      for (const one of found) {
        assert.ok(one !== undefined);
        assert.equal(one.version, found[0]?.version);
        assert.equal(textOf(one), 'hello');
      }
      await bench.expectVersion(handle, version);
    });

    it('changes neither bytes nor version, with a touch or without', async () => {
      const { handle, version } = await bench.stored('hello');
      const plain = await bench.read(handle);
      const touched = await bench.read(handle, 2 * LONG);
      const after = await bench.read(handle);
      assert.deepEqual([touched.version, after.version], [plain.version, plain.version]);
      assertBytes(touched.payload, Buffer.from('hello'));
      assertBytes(after.payload, Buffer.from('hello'));
      await bench.expectVersion(handle, version);
    });

    it('leaves an update possible after a touch by another instance', async () => {
      const { handle, version } = await bench.stored('first');
      await bench.other.read(handle, LONG);
      await bench.update(handle, version, 'second');
      await bench.expectText(handle, 'second');
    });

    it('sees a record whole while it is updated', async () => {
      const texts = ['a'.repeat(20_000), 'b'.repeat(30_000)];
      const { handle, version } = await bench.stored(texts[0]);
      let isWriting = true;
      const read = async (): Promise<void> => {
        while (isWriting) {
          const found = await bench.other.read(handle);
          assert.ok(found !== undefined && texts.includes(textOf(found)), 'one state or the other, and never none');
          // Also where a read never leaves the process, the writer gets its turn.
          await new Promise(setImmediate);
        }
      };
      const write = async (): Promise<void> => {
        let base = version;
        for (let round = 1; round <= 30; round++) base = await bench.update(handle, base, texts[round % 2] ?? '');
      };
      await Promise.all([read(), read(), write().finally(() => (isWriting = false))]);
    });

    it('tells how long a record has left within its lifetime, where it tells', async () => {
      const { handle } = await bench.stored('hello', LONG);
      const { remaining } = await bench.read(handle);
      if (remaining === undefined) return;
      assert.ok(remaining > LONG / 2, `${remaining} ms`);
      assert.ok(remaining <= LONG + 2 * bench.traits.minimumLifetime, `${remaining} ms`);
    });
  });
}
