import assert from 'node:assert/strict';
import { SharedWait } from './shared-wait.js';
import type { TestRunner } from './test-runner.js';
import { LONG, record, type Fixture } from './fixture.js';

const DAY = 24 * 60 * 60 * 1000;

export function describeExpiry(runner: TestRunner, bench: Fixture): void {
  runner.describe('lifetime', () => {
    const wait = new SharedWait(bench);
    const { short } = wait;

    wait.it('ends a record: it reads as absent', async () => {
      const { handle } = await bench.stored('first', short);
      return () => bench.expectAbsent(handle);
    });

    wait.it('is over for good: a touch does not revive', async () => {
      const { handle } = await bench.stored('first', short);
      return async () => {
        assert.equal(await bench.repository.read(handle, LONG), undefined);
        await bench.expectAbsent(handle);
      };
    });

    wait.it('is over for good: an update finds it gone', async () => {
      const { handle, version } = await bench.stored('first', short);
      return async () => {
        assert.deepEqual(await bench.repository.update(handle, record('second'), version, LONG), { status: 'gone' });
        await bench.expectAbsent(handle);
      };
    });

    wait.it('is over for good: delete finds nothing to delete', async () => {
      const { handle } = await bench.stored('first', short);
      return async () => assert.equal(await bench.repository.delete(handle), false);
    });

    wait.it('is over: the handle is free for create again', async () => {
      const { handle } = await bench.stored('first', short);
      return async () => {
        await bench.create(handle, 'second');
        await bench.expectText(handle, 'second');
      };
    });

    wait.it('is not prolonged by reading', async () => {
      const { handle } = await bench.stored('first', short);
      for (let count = 0; count < 3; count++) await bench.repository.read(handle);
      return () => bench.expectAbsent(handle);
    });

    wait.it('is prolonged by a touch', async () => {
      const { handle } = await bench.stored('first', short);
      await bench.read(handle, LONG);
      return () => bench.expectText(handle, 'first');
    });

    wait.it('is shortened by a touch', async () => {
      const { handle } = await bench.stored('first', LONG);
      await bench.read(handle, short);
      return () => bench.expectAbsent(handle);
    });

    wait.it('is renewed by an update', async () => {
      const { handle, version } = await bench.stored('first', short);
      await bench.update(handle, version, 'second', LONG);
      return () => bench.expectText(handle, 'second');
    });

    wait.it('is shortened by an update', async () => {
      const { handle, version } = await bench.stored('first', LONG);
      await bench.update(handle, version, 'second', short);
      return () => bench.expectAbsent(handle);
    });

    wait.it('is not changed by an update that fails, nor by a create that fails', async () => {
      const { handle, version } = await bench.stored('first', LONG);
      await bench.update(handle, version, 'second', short);
      await bench.repository.update(handle, record('third'), version, LONG);
      await bench.repository.create(handle, record('fourth'), LONG);
      return () => bench.expectAbsent(handle);
    });

    wait.it('of one record does not end another', async () => {
      const { handle } = await bench.stored('first', LONG);
      return () => bench.expectText(handle, 'first');
    });

    for (const days of [31, 400])
      wait.it(`of ${days} days is not taken for something else, by create, update and touch`, async () => {
        const ttl = days * DAY;
        const { handle: created } = await bench.stored('created', ttl);
        const { handle: updated, version } = await bench.stored('first', LONG);
        await bench.update(updated, version, 'updated', ttl);
        const { handle: touched } = await bench.stored('touched', LONG);
        await bench.read(touched, ttl);
        return async () => {
          await bench.expectText(created, 'created');
          await bench.expectText(updated, 'updated');
          await bench.expectText(touched, 'touched');
          const { remaining } = await bench.read(touched);
          assert.ok(remaining === undefined || Math.abs(remaining - ttl) < DAY / 2, `${remaining} ms`);
        };
      });

    wait.it('is respected by purgeExpired, where the repository has it: only what is over goes', async () => {
      const { handle: living, version } = await bench.stored('living', LONG);
      const { handle: dead } = await bench.stored('dead', short);
      return async () => {
        const removed = (await bench.repository.purgeExpired?.()) ?? 0;
        assert.ok(Number.isInteger(removed) && removed >= 0, `${removed} removed`);
        await bench.expectAbsent(dead);
        await bench.update(living, version, 'still living');
        await bench.expectText(living, 'still living');
      };
    });

    wait.register(runner);
  });
}
