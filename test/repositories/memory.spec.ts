import { describe, expect, it, jest } from '@jest/globals';
import { describeSessionRepository } from 'nestjs-server-session/testing';
import { MemorySessionRepository } from '../../lib/repositories/memory/memory-session.repository.js';

const LONG = 60_000;

describeSessionRepository('memory', () => new MemorySessionRepository(), { shared: false });

describe('memory', () => {
  const payload = new Uint8Array(500);

  it('keeps as many sessions as maxEntries says, and forgets the longest unused first', async () => {
    const repository = new MemorySessionRepository({ maxEntries: 3 });
    for (const handle of ['a', 'b', 'c']) await repository.create(handle, { payload }, LONG);
    await repository.read('a');
    await repository.create('d', { payload }, LONG);
    expect(await repository.read('b')).toBeUndefined();
    expect((await repository.list({ limit: 10 })).records.map(({ handle }) => handle)).toEqual(['a', 'c', 'd']);
  });

  it('answers in a test that holds the clock', async () => {
    const repository = new MemorySessionRepository();
    jest.useFakeTimers();
    try {
      await repository.create('a', { payload }, LONG);
      expect(await repository.read('a')).toBeDefined();
    } finally {
      jest.useRealTimers();
    }
  });

  it('keeps as many bytes as maxBytes says', async () => {
    const repository = new MemorySessionRepository({ maxBytes: 5_000 });
    for (let index = 0; index < 100; index++) await repository.create(`handle${index}`, { payload, principal: 'ann' }, LONG);
    const count = await repository.count({});
    expect(count).toBeGreaterThan(5);
    expect(count).toBeLessThan(11);
    expect(await repository.count({ principal: 'ann' })).toBe(count);
    expect(await repository.read('handle99')).toBeDefined();
  });

  it('refuses a session that is larger than maxBytes, and keeps the record before', async () => {
    const repository = new MemorySessionRepository({ maxBytes: 1_024 });
    await repository.create('handle', { payload }, LONG);
    const large = { payload: new Uint8Array(1_025) };
    await expect(repository.update('handle', large, '1', LONG)).rejects.toThrow("'memory.maxBytes'");
    await expect(repository.create('another', large, LONG)).rejects.toThrow("'memory.maxBytes'");
    expect((await repository.read('handle'))?.payload).toHaveLength(500);
  });

  it('purges what has expired and says how many', async () => {
    const repository = new MemorySessionRepository();
    for (const handle of ['a', 'b', 'c']) await repository.create(handle, { payload, principal: 'ann' }, handle === 'c' ? LONG : 5);
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(await repository.purgeExpired()).toBe(2);
    expect(await repository.purgeExpired()).toBe(0);
    expect(await repository.count({ principal: 'ann' })).toBe(1);
  });
});
