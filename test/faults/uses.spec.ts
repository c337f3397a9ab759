import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { SessionConflictError, SessionStoreError } from 'nestjs-server-session';
import { MemorySessionRepository } from '../../lib/repositories/memory/memory-session.repository.js';
import { toServerSession } from '../../lib/session/server-session.js';
import { SimulatedProcess } from './support/simulated-process.js';

const HOUR = 3_600_000;

/** The repository's memory, with the lifetimes that it was given. */
class WatchedRepository extends MemorySessionRepository {
  readonly touches: (number | undefined)[] = [];

  override read(...args: Parameters<MemorySessionRepository['read']>): ReturnType<MemorySessionRepository['read']> {
    this.touches.push(args[1]);
    return super.read(...args);
  }

  async remaining(process: SimulatedProcess, id: string): Promise<number | undefined> {
    const found = await super.read(process.ids.handleOf(id));
    return found?.remaining;
  }
}

describe('A use of a session', () => {
  let store: WatchedRepository;
  beforeEach(() => {
    store = new WatchedRepository();
  });
  afterEach(() => void jest.restoreAllMocks());

  const setClock = (offset: number): void => {
    const now = Date.now();
    const start = performance.now();
    jest.spyOn(Date, 'now').mockImplementation(() => now + offset + performance.now() - start);
  };

  it.each([
    ['back by an hour', -HOUR],
    ['ahead by an hour', HOUR],
  ])('is still noted when the clock of the process is set %s', async (_way, offset) => {
    const process = await SimulatedProcess.start(store, { lifetime: 10, touchInterval: '50ms' });
    const id = await process.begin({ n: 1 });
    setClock(offset);
    store.touches.length = 0;
    for (let time = 0; time < 4; time++) {
      await sleep(60);
      expect(await process.look(id)).toEqual({ n: 1 });
    }
    expect(store.touches).toEqual([10_000, 10_000, 10_000, 10_000]);
  });

  it('is noted by a process that has not seen the session, although another one whose clock is ahead wrote it', async () => {
    setClock(HOUR);
    const ahead = await SimulatedProcess.start(store, { lifetime: 10, touchInterval: '50ms' });
    const id = await ahead.begin({ n: 1 });
    jest.restoreAllMocks();
    const process = await SimulatedProcess.start(store, { lifetime: 10, touchInterval: '50ms' });
    store.touches.length = 0;
    expect(await process.look(id)).toEqual({ n: 1 });
    expect(store.touches).toContain(10_000);
  });

  it("gives the session its own lifetime, in each process, and never the option's", async () => {
    const [a, b] = await Promise.all([1, 2].map(() => SimulatedProcess.start(store, { lifetime: 10, touchInterval: '50ms' })));
    const { session, finish } = await a!.open();
    session.lifetime = 1000;
    session['n'] = 1;
    await finish();
    const id = session.sid;
    store.touches.length = 0;
    for (const process of [a!, b!, a!, b!]) {
      await sleep(110);
      expect(await process.look(id)).toEqual({ n: 1 });
      expect(await store.remaining(process, id)).toBeGreaterThan(900_000);
    }
    expect(store.touches.filter((touch) => touch !== undefined && touch !== 1_000_000)).toEqual([]);
  });

  it('is update(), also where it changes nothing', async () => {
    const process = await SimulatedProcess.start(store, { lifetime: 10 });
    const id = await process.begin({ n: 1 });
    await sleep(60);
    const before = (await store.remaining(process, id)) ?? 0;
    const handle = process.ids.handleOf(id);
    await process.manager.updateByHandle(handle, () => undefined);
    expect(await store.remaining(process, id)).toBeGreaterThan(before);
  });

  it('is touch(), of a session that is still there', async () => {
    const process = await SimulatedProcess.start(store, { lifetime: 10 });
    const id = await process.begin({ n: 1 });
    const [first, second] = [await process.open(id), await process.open(id)];
    await sleep(60);
    const before = (await store.remaining(process, id)) ?? 0;
    await first.session.touch();
    expect(await store.remaining(process, id)).toBeGreaterThan(before);
    expect(await first.finish()).toEqual({ id });
    await process.request(id, (session) => session.destroy());
    await second.session.touch();
    expect([await second.finish(), await process.look(id)]).toEqual(['none', undefined]);
  });
});

describe('Many updates of one session at once', () => {
  it('take turns, and those that do not come to theirs in time are told of a conflict', async () => {
    const process = await SimulatedProcess.start(new MemorySessionRepository(), { storeTimeout: '300ms' });
    const handle = process.ids.handleOf(await process.begin({ n: 0 }));
    const count = async (): Promise<void> => {
      await process.manager.updateByHandle(handle, async (state) => {
        const latest = toServerSession(state, process.manager);
        await sleep(20);
        latest.set('n', latest.get('n', 0) + 1);
      });
    };
    const results = await Promise.allSettled(Array.from({ length: 100 }, count));
    const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
    expect(failures.length).toBeGreaterThan(0);
    for (const failure of failures) expect(failure).toBeInstanceOf(SessionConflictError);
    const state = await process.manager.view(handle);
    expect(state && toServerSession(state, process.manager).get('n')).toBe(100 - failures.length);
  });
});

describe('A log-out with two cookies of the name', () => {
  it('ends the sessions of both', async () => {
    const process = await SimulatedProcess.start(new MemorySessionRepository());
    const ids = [await process.begin({ n: 1 }), await process.begin({ n: 2 })];
    const state = await process.manager.load(ids);
    await toServerSession(state, process.manager).destroy();
    expect([await process.look(ids[0]!), await process.look(ids[1]!)]).toEqual([undefined, undefined]);
  });

  it('rejects once where the store is down, and leaves no rejection that nothing handles', async () => {
    const store = new MemorySessionRepository();
    const simulated = await SimulatedProcess.start(store);
    const ids = [await simulated.begin({ n: 1 }), await simulated.begin({ n: 2 })];
    const session = toServerSession(await simulated.manager.load(ids), simulated.manager);
    const down = (): Promise<never> => Promise.reject(new Error('down'));
    Object.assign(store, { read: async () => (await sleep(5), down()), delete: down });
    const unhandled: unknown[] = [];
    const note = (reason: unknown): void => void unhandled.push(reason);
    process.on('unhandledRejection', note);
    await expect(session.destroy()).rejects.toThrow(SessionStoreError);
    await sleep(30);
    process.off('unhandledRejection', note);
    expect(unhandled).toEqual([]);
  });
});
