import assert from 'node:assert/strict';
import type { SessionRepository } from '../repositories/session-repository.js';
import type { TestRunner } from './test-runner.js';
import { LONG, pause, record, textOf, type Fixture } from './fixture.js';

export function describeConcurrency({ describe, it }: TestRunner, bench: Fixture): void {
  describe('concurrency', () => {
    it('loses none of 100 increments that two instances make at once', async () => {
      const { handle } = await bench.stored('0');
      await Promise.all(
        Array.from({ length: 100 }, (_unused, index) => increment(index % 2 === 0 ? bench.repository : bench.rival, handle)),
      );
      await bench.expectText(handle, '100');
    });

    it('loses no increment to touches', async () => {
      const { handle } = await bench.stored('0');
      const touch = async (): Promise<void> => {
        for (let count = 0; count < 20; count++) await bench.rival.read(handle, LONG);
      };
      await Promise.all([...Array.from({ length: 20 }, () => increment(bench.repository, handle)), touch(), touch()]);
      await bench.expectText(handle, '20');
    });

    it('leaves a whole record where two instances write at once, whichever comes later', async () => {
      const texts = ['a'.repeat(20_000), 'b'.repeat(30_000)];
      const { handle, version } = await bench.stored('first');
      const write = (repository: SessionRepository, text: string): Promise<{ status: string }> =>
        repository.update(handle, record(text), version, LONG);
      const results = await Promise.all([write(bench.repository, texts[0] ?? ''), write(bench.other, texts[1] ?? '')]);
      assert.ok(results.some(({ status }) => status === 'updated'));
      assert.ok(texts.includes(textOf(await bench.read(handle))));
    });

    it('ends every one of many writers when the record is deleted', async () => {
      const { handle } = await bench.stored('0');
      const writers = Array.from({ length: 10 }, async (_unused, index) => {
        const repository = index % 2 === 0 ? bench.repository : bench.rival;
        while (await tryIncrement(repository, handle));
      });
      await pause(50);
      assert.equal(await bench.rival.delete(handle), true);
      await Promise.all(writers);
      await bench.expectAbsent(handle);
    });
  });
}

async function increment(repository: SessionRepository, handle: string): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    const found = await repository.read(handle);
    assert.ok(found !== undefined);
    const { status } = await repository.update(handle, record(String(Number(textOf(found)) + 1)), found.version, LONG);
    assert.notEqual(status, 'gone');
    if (status === 'updated') return;
    await pause(Math.random() * Math.min(50, 2 ** attempt));
  }
}

/** False once the record is gone. */
async function tryIncrement(repository: SessionRepository, handle: string): Promise<boolean> {
  const found = await repository.read(handle, LONG);
  if (found === undefined) return false;
  const { status } = await repository.update(handle, record(String(Number(textOf(found)) + 1)), found.version, LONG);
  // Also where nothing leaves the process, others get their turn.
  await pause(1);
  return status !== 'gone';
}
