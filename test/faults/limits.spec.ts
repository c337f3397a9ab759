import { describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { SessionTooLargeError } from 'nestjs-server-session';
import { MemorySessionRepository } from '../../lib/repositories/memory/memory-session.repository.js';
import { RecordingRepository } from '../e2e/recording.repository.js';
import { idIn, SimulatedProcess } from './support/simulated-process.js';

const payload = Buffer.alloc(100);

describe('A session that is too large', () => {
  it('is refused with a 413 that names its largest keys, and the record before stays', async () => {
    const process = await SimulatedProcess.start(new MemorySessionRepository(), { maxBytes: 1000 });
    const id = await process.begin({ bag: 'tea', history: 'h'.repeat(400) });
    const growing = process.request(id, (session) => {
      session.set('bag', 'c'.repeat(500));
      session.set('tiny', 1);
      session.set('photo', 'p'.repeat(700));
    });
    const error = (await growing.catch((reason: unknown) => reason)) as SessionTooLargeError;
    expect(error).toBeInstanceOf(SessionTooLargeError);
    expect([error.getStatus(), error.largestKeys.map(({ key }) => key)]).toEqual([413, ['photo', 'bag', 'history']]);
    expect(error.message).toContain("'photo' (740 bytes), 'bag' (538 bytes)");
    expect(await process.look(id)).toEqual({ bag: 'tea', history: 'h'.repeat(400) });
  });

  it('is refused too where only the changes of two requests together are too much', async () => {
    const store = new MemorySessionRepository();
    const process = await SimulatedProcess.start(store, { maxBytes: 1000 });
    const id = await process.begin({ n: 1 });
    const late = await process.open(id);
    await process.request(id, (session) => session.set('first', 'f'.repeat(600)));
    late.session.set('second', 's'.repeat(600));
    await expect(late.finish()).rejects.toThrow(SessionTooLargeError);
    expect(await process.look(id)).toEqual({ n: 1, first: 'f'.repeat(600) });
  });
});

describe('A client that sends no cookie', () => {
  it.each([
    ['reads', () => undefined],
    ['sets and deletes again', (session) => (session.set('a', 1), session.delete('a'))],
    ['takes messages that nobody left', (session) => session.flashes()],
    ['only says that its cookie is permanent', (session) => (session.permanent = false)],
    ['regenerates what is not there', (session) => session.regenerate()],
    ['destroys what is not there', (session) => session.destroy()],
  ] satisfies [string, Parameters<SimulatedProcess['request']>[1]][])(
    'and %s fills no store and gets no cookie',
    async (_what, handler) => {
      const store = new RecordingRepository();
      const process = await SimulatedProcess.start(store);
      for (let request = 0; request < 100; request++) expect(await process.request(undefined, handler)).toBe('none');
      expect(store.calls).toEqual([]);
    },
  );

  it('or a made-up one creates nothing, and its id is never taken over', async () => {
    const store = new RecordingRepository();
    const process = await SimulatedProcess.start(store);
    const forged = process.ids.generate();
    expect(await process.request(forged, (session) => session.get('n'))).toBe('none');
    expect(store.calls).toEqual(['read']);
    const id = idIn(await process.request(forged, (session) => session.set('n', 1)));
    expect(id).not.toBe(forged);
    expect(await process.look(forged)).toBeUndefined();
  });
});

describe('The memory back end', () => {
  it('holds a bounded number of sessions, however many are begun', async () => {
    const store = new MemorySessionRepository({ maxEntries: 50 });
    for (let n = 0; n < 1000; n++) await store.create(`handle-${n}`, { payload }, 60_000);
    expect(await store.count({})).toBe(50);
  });

  it('holds a bounded number of bytes', async () => {
    const store = new MemorySessionRepository({ maxBytes: 10_000 });
    for (let n = 0; n < 1000; n++) await store.create(`handle-${n}`, { payload: Buffer.alloc(1000) }, 60_000);
    expect(await store.count({})).toBeLessThanOrEqual(8);
  });

  it('forgets expired sessions before it forgets a living one', async () => {
    const store = new MemorySessionRepository({ maxEntries: 10 });
    await store.create('oldest', { payload }, 60_000);
    for (let n = 0; n < 9; n++) await store.create(`short-${n}`, { payload }, 20);
    await sleep(30);
    for (let n = 0; n < 9; n++) await store.create(`new-${n}`, { payload }, 60_000);
    expect(await store.read('oldest')).toBeDefined();
    expect(await store.count({})).toBe(10);
  });
});
