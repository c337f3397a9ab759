import { beforeEach, describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { SessionConflictError } from 'nestjs-server-session';
import { eventually } from '../support/eventually.js';
import { idIn, SimulatedProcess } from './support/simulated-process.js';
import { type Command, SteppingRepository } from './support/stepping.repository.js';

const GRACE = 300;

/** Processes A and B share a store and nothing else. */
describe('A session that has ended', () => {
  let store: SteppingRepository;
  let a: SimulatedProcess;
  let b: SimulatedProcess;
  let id: string;

  beforeEach(async () => {
    store = new SteppingRepository();
    a = await SimulatedProcess.start(store, { regenerateGrace: `${GRACE}ms`, touchInterval: 0 });
    b = await SimulatedProcess.start(store, { regenerateGrace: `${GRACE}ms`, touchInterval: 0 });
    id = await a.begin({ n: 1 });
  });

  const destroyIn = (process: SimulatedProcess, sid = id): Promise<unknown> => process.request(sid, (session) => session.destroy());
  const expectNoSession = async (...ids: string[]): Promise<void> => {
    for (const sid of ids) expect([await a.look(sid), await b.look(sid)]).toEqual([undefined, undefined]);
    // What leads from an old id to a new one goes with the grace.
    await eventually(async () => expect(await store.memory.count({})).toBe(0));
  };

  describe('by destroy() in another process does not come back', () => {
    it('by a save, whose request is answered without a cookie', async () => {
      const late = await b.open(id);
      await destroyIn(a);
      late.session.set('n', 2);
      expect(await late.finish()).toBe('none');
      await expectNoSession(id);
    });

    it('by a save that was a moment from the store', async () => {
      const late = await b.open(id);
      late.session.set('n', 2);
      store.interleave('update', () => destroyIn(a));
      expect(await late.finish()).toBe('none');
      await expectNoSession(id);
    });

    it('by a read that extends it', async () => {
      store.interleave('read', () => destroyIn(a));
      expect(await b.look(id)).toBeUndefined();
      await expectNoSession(id);
    });

    it('by a merge: it ends between a conflict and the next try', async () => {
      const late = await b.open(id);
      late.session.set('mine', 1);
      await a.request(id, (session) => session.set('theirs', 1));
      store.interleave('read', () => destroyIn(a));
      expect(await late.finish()).toBe('none');
      await expectNoSession(id);
    });

    it('by the second try of a merge', async () => {
      const late = await b.open(id);
      late.session.set('mine', 1);
      await a.request(id, (session) => session.set('theirs', 1));
      store.interleave('read', async () => {
        store.interleave('update', () => destroyIn(a));
      });
      expect(await late.finish()).toBe('none');
      await expectNoSession(id);
    });

    it('by update(), which says that it failed', async () => {
      const late = await b.open(id);
      await destroyIn(a);
      await expect(late.session.update((session) => session.set('n', 2))).rejects.toThrow(SessionConflictError);
      await expectNoSession(id);
    });

    it("by 'overwrite'", async () => {
      const c = await SimulatedProcess.start(store, { concurrency: 'overwrite' });
      const late = await c.open(id);
      await destroyIn(a);
      late.session.set('n', 2);
      expect(await late.finish()).toBe('none');
      await expectNoSession(id);
    });

    it('by regenerate(), at any of its commands', async () => {
      for (const command of ['create', 'update'] satisfies Command[]) {
        const sid = await a.begin({ n: 1 });
        const late = await b.open(sid);
        store.interleave(command, () => destroyIn(a, sid));
        await late.session.regenerate();
        expect(await late.finish()).toBe('none');
        expect(await b.look(sid)).toBeUndefined();
      }
      await destroyIn(a);
      await expectNoSession(id);
    });

    it('by a log-in, which is not answered with a cookie', async () => {
      const late = await b.open(id);
      await destroyIn(a);
      late.session.principal = 'ada';
      expect(await late.finish()).toBe('none');
      await expectNoSession(id);
    });

    it('by a second destroy()', async () => {
      const late = await b.open(id);
      await destroyIn(a);
      await late.session.destroy();
      expect(await late.finish()).toBe('cleared');
      await expectNoSession(id);
    });
  });

  it('what the destroying request writes afterwards is a session of its own, with a new id', async () => {
    const next = idIn(
      await a.request(id, async (session) => {
        await session.destroy();
        session.flash('info', 'Good-bye');
      }),
    );
    expect(next).not.toBe(id);
    expect(await b.look(id)).toBeUndefined();
    const { session } = await b.open(next);
    expect([session.get('n'), session.flashes('info')]).toEqual([undefined, ['Good-bye']]);
  });

  describe('by destroy() while another request regenerates it', () => {
    it('ends under the new id too', async () => {
      const late = await b.open(id);
      const next = idIn(await a.request(id, (session) => session.regenerate()));
      await late.session.destroy();
      expect(await late.finish()).toBe('cleared');
      await expectNoSession(id, next);
    });

    it('ends under the new id when the regeneration comes right before it in the store', async () => {
      const late = await b.open(id);
      let next = '';
      store.interleave('delete', async () => {
        next = idIn(await a.request(id, (session) => session.regenerate()));
      });
      await late.session.destroy();
      await late.finish();
      await expectNoSession(id, next);
    });

    it('ends after several regenerations', async () => {
      const late = await b.open(id);
      const second = idIn(await a.request(id, (session) => session.regenerate()));
      const third = idIn(await a.request(second, (session) => session.regenerate()));
      await late.session.destroy();
      await expectNoSession(id, second, third);
    });

    it('ends for a request that came through the old id', async () => {
      const next = idIn(await a.request(id, (session) => session.regenerate()));
      await destroyIn(b, id);
      expect([await a.look(id), await a.look(next)]).toEqual([undefined, undefined]);
    });
  });

  it('a destroy() that others keep outrunning is a 409, not a pretence', async () => {
    const c = await SimulatedProcess.start(store, { storeTimeout: '80ms' });
    const late = await c.open(id);
    let n = 1;
    let isOurs = false;
    store.before = async (command) => {
      if (command !== 'delete' || isOurs) return;
      isOurs = true;
      await a.request(id, (session) => session.set('n', ++n));
      isOurs = false;
    };
    await expect(late.session.destroy()).rejects.toThrow(SessionConflictError);
    store.before = () => undefined;
    expect(await b.look(id)).toEqual({ n });
  });

  describe('by its age', () => {
    it('is not brought back by what is in flight', async () => {
      const c = await SimulatedProcess.start(store, { absoluteLifetime: '150ms' });
      const sid = await c.begin({ n: 1 });
      const late = await c.open(sid);
      await sleep(160);
      late.session.set('n', 2);
      expect(await late.finish()).toBe('none');
      expect(await c.look(sid)).toBeUndefined();
    });

    it('cannot gain time by regenerate()', async () => {
      const c = await SimulatedProcess.start(store, { absoluteLifetime: '300ms' });
      const sid = await c.begin({ n: 1 });
      await sleep(150);
      const next = idIn(await c.request(sid, (session) => session.regenerate()));
      expect(await c.look(next)).toEqual({ n: 1 });
      await sleep(160);
      expect(await c.look(next)).toBeUndefined();
    });

    it('of idleness is not brought back by a late save', async () => {
      const c = await SimulatedProcess.start(store, { lifetime: '100ms', touchInterval: '50ms' });
      const sid = await c.begin({ n: 1 });
      const late = await c.open(sid);
      await sleep(120);
      late.session.set('n', 2);
      expect(await late.finish()).toBe('none');
      expect(await c.look(sid)).toBeUndefined();
    });
  });
});
