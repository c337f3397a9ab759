import assert from 'node:assert/strict';
import type { TestRunner } from './test-runner.js';
import type { Fixture } from './fixture.js';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

export function describeHandles({ describe, it }: TestRunner, bench: Fixture): void {
  const roundTrip = async (chosen: string): Promise<void> => {
    const handle = await bench.claim(chosen);
    const version = await bench.create(handle, `of ${chosen}`);
    await bench.expectText(handle, `of ${chosen}`);
    await bench.update(handle, version, 'second');
    await bench.expectText(handle, 'second');
    assert.equal(await bench.repository.delete(handle), true);
    await bench.expectAbsent(handle);
  };

  describe('handles', () => {
    it('may have every character of the alphabet', () => roundTrip(ALPHABET));

    it('may have 128 characters', () => roundTrip(bench.handle().repeat(3).slice(0, 128)));

    it('may have one character', async () => {
      for (const handle of ['a', 'A', '0', '-', '_']) await roundTrip(handle);
    });

    for (const name of ['__proto__', 'constructor', 'toString', '--', '__', '-_-', '00', 'null', 'undefined'])
      it(`may be '${name}'`, () => roundTrip(name));

    it('that differ in case only are different', async () => {
      const stem = bench.handle();
      const handles = await Promise.all([`${stem}aB`, `${stem}Ab`, `${stem}ab`].map((handle) => bench.claim(handle)));
      for (const handle of handles) await bench.create(handle, handle);
      for (const handle of handles) await bench.expectText(handle, handle);
      await bench.repository.delete(`${stem}ab`);
      await bench.expectText(`${stem}aB`, `${stem}aB`);
    });

    it('that begin alike are different', async () => {
      const stem = bench.handle();
      const handles = await Promise.all([stem, `${stem}-`, `${stem}_1`].map((handle) => bench.claim(handle)));
      for (const handle of handles) await bench.create(handle, handle);
      await bench.repository.delete(stem);
      await bench.expectAbsent(stem);
      for (const handle of handles.slice(1)) await bench.expectText(handle, handle);
    });
  });
}
