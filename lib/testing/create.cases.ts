import assert from 'node:assert/strict';
import type { TestRunner } from './test-runner.js';
import { assertBytes, LONG, record, type Fixture } from './fixture.js';

export function describeCreate({ describe, it }: TestRunner, bench: Fixture): void {
  describe('create', () => {
    it('stores a record and returns its version', async () => {
      const { handle, version } = await bench.stored('hello');
      await bench.expectText(handle, 'hello');
      await bench.expectVersion(handle, version);
    });

    it('is seen by every instance', async () => {
      const { handle, version } = await bench.stored('hello');
      const found = await bench.other.read(handle);
      assert.ok(found !== undefined);
      assertBytes(found.payload, Buffer.from('hello'));
      await bench.expectVersion(handle, version);
    });

    it('never replaces a record', async () => {
      const { handle, version } = await bench.stored('first');
      assert.equal(await bench.repository.create(handle, record('second'), LONG), undefined);
      assert.equal(await bench.other.create(handle, record('third'), LONG), undefined);
      await bench.expectText(handle, 'first');
      await bench.expectVersion(handle, version);
    });

    it('does not replace a record that was updated either', async () => {
      const { handle, version } = await bench.stored('first');
      await bench.update(handle, version, 'second');
      assert.equal(await bench.repository.create(handle, record('third'), LONG), undefined);
      await bench.expectText(handle, 'second');
    });

    it('lets exactly one of several parallel creations of a handle win', async () => {
      const handle = bench.handle();
      const versions = await Promise.all(
        Array.from({ length: 20 }, (_unused, index) =>
          (index % 2 === 0 ? bench.repository : bench.rival).create(handle, record(`creation ${index}`), LONG),
        ),
      );
      const winners = [...versions.keys()].filter((index) => versions[index] !== undefined);
      assert.equal(winners.length, 1);
      await bench.expectText(handle, `creation ${winners[0]}`);
    });

    it('keeps each of many records that are created at once', async () => {
      const handles = bench.handles(50);
      await Promise.all(handles.map((handle) => bench.create(handle, `text of ${handle}`)));
      await Promise.all(handles.map((handle) => bench.expectText(handle, `text of ${handle}`)));
    });

    for (const [title, payload] of PAYLOADS)
      it(`keeps ${title}`, async () => {
        const handle = bench.handle();
        const version = await bench.repository.create(handle, { payload }, LONG);
        assert.ok(version !== undefined);
        assertBytes((await bench.read(handle)).payload, payload);
        assert.equal((await bench.repository.update(handle, { payload }, version, LONG)).status, 'updated');
        assertBytes((await bench.read(handle)).payload, payload);
      });

    it('takes a copy of the bytes, or is done with them', async () => {
      const handle = bench.handle();
      const payload = new Uint8Array([1, 2, 3]);
      await bench.repository.create(handle, { payload }, LONG);
      payload.fill(9);
      assertBytes((await bench.read(handle)).payload, new Uint8Array([1, 2, 3]));
    });

    it('takes a principal, and gives it back or nothing, never another', async () => {
      const { handle } = await bench.stored('hello', LONG, 'user 1');
      const { principal } = await bench.read(handle);
      assert.ok(principal === undefined || principal === 'user 1');
      await bench.expectText(handle, 'hello');
    });

    it('takes a lifetime that is not a whole number of milliseconds', async () => {
      const { handle } = await bench.stored('hello', LONG + 0.25);
      await bench.expectText(handle, 'hello');
    });
  });
}

const PAYLOADS: [title: string, payload: Uint8Array][] = [
  ['every byte there is', Uint8Array.from({ length: 512 }, (_unused, index) => index % 256)],
  ['an empty payload', new Uint8Array(0)],
  ['a payload of 60 KiB', Uint8Array.from({ length: 60 * 1024 }, (_unused, index) => (index * 31 + (index >> 8)) % 256)],
  ['line ends, colons, quotes and zeros', Buffer.from('\r\n:\0"\'\\;END\r\n\0')],
  ['a view into a larger buffer', Buffer.from('before the payload after').subarray(11, 18)],
];
