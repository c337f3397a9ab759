import { beforeEach, describe, expect, it } from '@jest/globals';
import { type ServerSessionOptions, SessionConflictError } from 'nestjs-server-session';
import { SimulatedProcess } from './support/simulated-process.js';
import { SteppingRepository } from './support/stepping.repository.js';

describe('Two requests that change a session at the same time', () => {
  let store: SteppingRepository;
  let id: string;
  const start = (options: ServerSessionOptions = {}): Promise<SimulatedProcess> => SimulatedProcess.start(store, options);

  beforeEach(async () => {
    store = new SteppingRepository();
    id = await (await start()).begin({ a: 0, b: 0, list: [0] });
  });

  const race = async (options: ServerSessionOptions): Promise<PromiseSettledResult<unknown>[]> => {
    const first = await (await start(options)).open(id);
    const second = await (await start(options)).open(id);
    first.session.set('a', 1);
    second.session.set('b', 2);
    return [await Promise.resolve(first.finish()).then(fulfilled, rejected), await second.finish().then(fulfilled, rejected)];
  };

  it("'merge', the default: keep the changes of both", async () => {
    await race({});
    expect(await (await start()).look(id)).toEqual({ a: 1, b: 2, list: [0] });
  });

  it("'merge': a nested change counts for its key alone", async () => {
    const [first, second] = [await (await start()).open(id), await (await start()).open(id)];
    first.session.get<number[]>('list')?.push(1);
    second.session.set('b', 2);
    second.session.delete('a');
    await first.finish();
    await second.finish();
    expect(await (await start()).look(id)).toEqual({ b: 2, list: [0, 1] });
  });

  it("'merge': a key that both change has the value of the later save", async () => {
    const [first, second] = [await (await start()).open(id), await (await start()).open(id)];
    first.session.set('a', 'first');
    second.session.set('a', 'second');
    await second.finish();
    await first.finish();
    expect(await (await start()).look(id)).toMatchObject({ a: 'first' });
  });

  it("'overwrite': the later save is the whole session", async () => {
    await race({ concurrency: 'overwrite' });
    expect(await (await start()).look(id)).toEqual({ a: 0, b: 2, list: [0] });
  });

  it("'reject': the later save is a 409, and the earlier one stays", async () => {
    const [, second] = await race({ concurrency: 'reject' });
    expect(second).toMatchObject({ status: 'rejected', reason: { status: 409 } });
    expect(await (await start()).look(id)).toEqual({ a: 1, b: 0, list: [0] });
  });

  describe('when others are always faster,', () => {
    beforeEach(async () => {
      const faster = await start();
      let isOurs = false;
      let n = 0;
      store.before = async (command) => {
        if (command !== 'update' || isOurs) return;
        isOurs = true;
        await faster.request(id, (session) => session.set('n', ++n));
        isOurs = false;
      };
    });

    it.each([
      ['a save', async (session) => void session.set('mine', 1)],
      ['update()', (session) => session.update((latest) => void latest.set('mine', 1))],
    ] satisfies [string, Parameters<SimulatedProcess['request']>[1]][])(
      '%s ends within storeTimeout with an error, and loses nothing of theirs',
      async (_name, handler) => {
        const slow = await start({ storeTimeout: '100ms' });
        const error: unknown = await slow.request(id, handler).catch((reason: unknown) => reason);
        expect((error as Error).name).toMatch(/^Session(Conflict|StoreTimeout)Error$/);
        store.before = () => undefined;
        const found = await slow.look(id);
        expect(found?.['n']).toBeGreaterThan(0);
        expect(found).not.toHaveProperty('mine');
      },
    );
  });

  it('update() runs again on what the other one stored', async () => {
    const [first, second] = [await start(), await start()];
    store.interleave('update', () => second.request(id, (session) => session.set('a', 10)));
    await first.request(id, (session) => session.update((latest) => void latest.set('a', latest.get('a', 0) + 1)));
    expect(await first.look(id)).toMatchObject({ a: 11 });
  });

  it('update() whose function takes longer than its request may take stores nothing', async () => {
    const slow = await start({ storeTimeout: '50ms' });
    const { session } = await slow.open(id);
    const updating = session.update(async (latest) => {
      latest.set('tardy', 1);
      await new Promise((resolve) => setTimeout(resolve, 80));
    });
    await expect(updating).rejects.toMatchObject({ status: 503 });
    await new Promise((resolve) => setTimeout(resolve, 80));
    expect(await slow.look(id)).not.toHaveProperty('late');
  });

  it('a conflict names its reason for the log, and nothing of it for the client', () => {
    const error = new SessionConflictError('others were faster');
    expect([error.message, error.getResponse()]).toEqual([
      '[ServerSession] the session was changed by another request: others were faster',
      { statusCode: 409, message: 'Conflict' },
    ]);
  });
});

function fulfilled(value: unknown): PromiseSettledResult<unknown> {
  return { status: 'fulfilled', value };
}

function rejected(reason: unknown): PromiseSettledResult<unknown> {
  return { status: 'rejected', reason };
}
