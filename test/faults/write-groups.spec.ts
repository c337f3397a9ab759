import { beforeEach, describe, expect, it } from '@jest/globals';
import type { ServerSession, ServerSessionOptions } from 'nestjs-server-session';
import { type OpenRequest, SimulatedProcess } from './support/simulated-process.js';
import { SteppingRepository } from './support/stepping.repository.js';

/** Requests of one process that change one session while its first update is under way. */
describe('Changes of a session that wait for each other', () => {
  let store: SteppingRepository;
  let id: string;
  let updates: number;
  /** Lets the update that is under way happen. */
  let letGo: () => void;

  beforeEach(async () => {
    store = new SteppingRepository();
    id = await (await SimulatedProcess.start(store)).begin({ a: 0, b: 0 });
    updates = 0;
    const held = new Promise<void>((resolve) => (letGo = resolve));
    store.before = (command) => (command === 'update' && ++updates === 1 ? held : undefined);
  });

  const start = (options: ServerSessionOptions = {}): Promise<SimulatedProcess> => SimulatedProcess.start(store, options);

  /** Opens a request for each change, makes the changes, and finishes all requests in this order. The first one is held up. */
  const race = async (
    process: SimulatedProcess,
    changes: ((session: ServerSession) => unknown)[],
  ): Promise<PromiseSettledResult<unknown>[]> => {
    const requests: OpenRequest[] = [];
    for (const change of changes) {
      const request = await process.open(id);
      await change(request.session);
      requests.push(request);
    }
    const finishing = requests.map(({ finish }) => finish());
    letGo();
    return Promise.allSettled(finishing);
  };
  const set =
    (key: string, value: unknown) =>
    (session: ServerSession): unknown =>
      session.set(key, value);

  it('however many there are, cost one update together', async () => {
    const process = await start();
    const answers = await race(
      process,
      Array.from({ length: 50 }, (_, n) => set(`k${n}`, n)),
    );
    expect(answers.every(({ status }) => status === 'fulfilled')).toBe(true);
    expect(updates).toBe(2);
    expect(Object.keys((await process.look(id)) ?? {})).toHaveLength(2 + 50);
  });

  it('count in the order in which they came, whatever their keys', async () => {
    const process = await start();
    await race(process, [set('b', 'held'), set('a', 1), set('b', 1), set('a', 2), (session) => session.delete('b'), set('a', 3)]);
    expect(await process.look(id)).toEqual({ a: 3 });
  });

  it('are what each of them was: a request that goes on does not write again what another one overwrote', async () => {
    const process = await start();
    const [held, first, second] = [await process.open(id), await process.open(id), await process.open(id)];
    held.session.set('b', 1);
    first.session.set('a', 'first');
    second.session.set('a', 'second');
    const saves = [held.session.save(), first.session.save(), second.session.save()];
    letGo();
    await Promise.all(saves);
    expect([first.session.get('a'), first.session.modified]).toEqual(['first', false]);
    first.session.set('c', 1);
    await first.finish();
    expect(await process.look(id)).toEqual({ a: 'second', b: 1, c: 1 });
  });

  it('fail alone where only one of them is at fault', async () => {
    const process = await start({ maxBytes: 200 });
    const answers = await race(process, [set('a', 1), set('b', 1), set('large', 'x'.repeat(500)), set('c', 1)]);
    expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
    expect(answers[2]).toMatchObject({ reason: { name: 'SessionTooLargeError' } });
    expect(await process.look(id)).toEqual({ a: 1, b: 1, c: 1 });
  });

  it('all fail where the store does, and nothing is told as stored', async () => {
    const process = await start();
    store.after = (command) => (command === 'update' && updates === 2 ? Promise.reject(new Error('gone away')) : undefined);
    const answers = await race(process, [set('a', 1), set('b', 1), set('c', 1)]);
    expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
    expect(answers[2]).toMatchObject({ reason: { name: 'SessionStoreError', status: 503 } });
  });

  it('find out together that another process was faster, and are merged with what it wrote', async () => {
    const [process, other] = [await start(), await start()];
    store.after = async (command) => {
      if (command !== 'update' || updates !== 1) return;
      store.after = () => undefined;
      await other.request(id, (session) => session.set('theirs', 1));
    };
    await race(process, [set('a', 1), set('b', 1), set('c', 1)]);
    expect(await process.look(id)).toEqual({ a: 1, b: 1, c: 1, theirs: 1 });
    // Held, theirs, the group against the version before theirs, and once more on top of it.
    expect(updates).toBe(4);
  });

  it('revive nothing: where the session ended meanwhile, none of them brings it back', async () => {
    const [process, other] = [await start(), await start()];
    store.after = async (command) => {
      if (command !== 'update' || updates !== 1) return;
      store.after = () => undefined;
      await other.request(id, (session) => session.destroy());
    };
    await race(process, [set('a', 1), set('b', 1), set('c', 1)]);
    expect(await process.look(id)).toBeUndefined();
  });

  it('that come after a log-in wait for it, and are not stored before', async () => {
    const process = await start({ regenerateOnPrincipalChange: false });
    const answers = await race(process, [
      set('a', 1),
      set('b', 1),
      (session) => Object.assign(session, { principal: 'ada', b: 'of the log-in' }),
      set('b', 'later'),
    ]);
    expect(answers.every(({ status }) => status === 'fulfilled')).toBe(true);
    expect(await process.look(id)).toEqual({ a: 1, b: 'later' });
    expect(updates).toBe(4);
  });

  it("with 'overwrite' leave the last one", async () => {
    const process = await start({ concurrency: 'overwrite' });
    await race(process, [set('a', 'held'), set('a', 1), set('b', 2)]);
    expect(await process.look(id)).toEqual({ a: 0, b: 2 });
  });

  it("with 'reject' are conflicts, each of them", async () => {
    const process = await start({ concurrency: 'reject' });
    const answers = await race(process, [set('a', 1), set('b', 1), set('c', 1)]);
    expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
    expect(answers[1]).toMatchObject({ reason: { status: 409 } });
  });

  it('whose request has its answer by now are not stored any more, and the others are', async () => {
    const process = await start({ storeTimeout: '150ms' });
    // The store hangs until both are answered: the second may have a moment left when the first is given up.
    let isHung = true;
    const hung = new Promise<void>((resolve) => (letGo = resolve));
    store.before = (command) => (command === 'update' && isHung ? hung : undefined);
    const [held, early] = [await process.open(id), await process.open(id)];
    held.session.set('a', 1);
    early.session.set('early', 1);
    const late = [held.finish(), early.finish()].map((finishing) => finishing.catch((error: unknown) => error));
    expect(await Promise.all(late)).toEqual([expect.objectContaining({ status: 503 }), expect.objectContaining({ status: 503 })]);
    isHung = false;
    const fresh = await process.open(id);
    fresh.session.set('fresh', 1);
    await fresh.finish();
    letGo();
    // What was held up reaches the store only now, and finds another version there.
    await new Promise(setImmediate);
    expect(await process.look(id)).toEqual({ a: 0, b: 0, fresh: 1 });
  });
});
