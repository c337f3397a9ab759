import { describe, expect, it, jest } from '@jest/globals';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ServerSessionModule, SessionService } from 'nestjs-server-session';
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

  it('keeps as many bytes as the option memory.maxBytes of the module says', async () => {
    @Module({ imports: [ServerSessionModule.forRoot({ type: 'memory', memory: { maxBytes: 20_000 } })] })
    class Application {}
    const app = await NestFactory.create(Application, { logger: false });
    try {
      await app.init();
      const service = app.get(SessionService);
      for (let index = 0; index < 60; index++) await service.create({ data: { index, text: 'x'.repeat(500) } });
      const count = await service.count();
      expect(count).toBeGreaterThan(15);
      expect(count).toBeLessThan(30);
    } finally {
      await app.close();
    }
  });

  it('refuses a session that is larger than maxBytes, and keeps the record before', async () => {
    const repository = new MemorySessionRepository({ maxBytes: 1_024 });
    await repository.create('handle', { payload }, LONG);
    const large = { payload: new Uint8Array(1_025) };
    await expect(repository.update('handle', large, '1', LONG)).rejects.toThrow("'memory.maxBytes'");
    await expect(repository.create('another', large, LONG)).rejects.toThrow("'memory.maxBytes'");
    expect((await repository.read('handle'))?.payload).toHaveLength(500);
  });

  it('lets expired sessions go before living ones, at both bounds', async () => {
    for (const options of [{ maxEntries: 3 }, { maxBytes: 2_100 }]) {
      const repository = new MemorySessionRepository(options);
      await repository.create('living', { payload }, LONG);
      await repository.create('expired', { payload }, 1);
      await repository.create('another', { payload }, LONG);
      await new Promise((resolve) => setTimeout(resolve, 5));
      await repository.create('new', { payload }, LONG);
      expect((await repository.list({ limit: 10 })).records.map(({ handle }) => handle).sort()).toEqual(['another', 'living', 'new']);
    }
  });

  it('makes room for a session that grows, and keeps that one', async () => {
    const repository = new MemorySessionRepository({ maxBytes: 3_000 });
    for (const handle of ['a', 'b', 'c', 'd']) await repository.create(handle, { payload }, LONG);
    expect(await repository.update('a', { payload: new Uint8Array(2_500) }, '1', LONG)).toEqual({ status: 'updated', version: '2' });
    expect((await repository.list({ limit: 10 })).records.map(({ handle }) => handle)).toEqual(['a']);
  });

  it('lists what a user begins while pages are read on a later page', async () => {
    const repository = new MemorySessionRepository({ maxEntries: 64 });
    for (let index = 0; index < 64; index++) await repository.create(`s${index}`, { payload, principal: 'ann' }, LONG);
    const first = await repository.list({ principal: 'ann', limit: 60 });
    await repository.delete('s0');
    await repository.create('new', { payload, principal: 'ann' }, LONG);
    await repository.delete('s59');
    const second = await repository.list({ principal: 'ann', limit: 60, cursor: first.cursor });
    expect(second.records.map(({ handle }) => handle)).toEqual(['s60', 's61', 's62', 's63', 'new']);
  });

  it('does not hold the event loop up while many expired sessions are removed', async () => {
    const repository = new MemorySessionRepository();
    const handles = Array.from({ length: 5_000 }, (_unused, index) => `s${index}`);
    for (const handle of handles) await repository.create(handle, { payload: Buffer.alloc(1) }, LONG);
    await Promise.all(handles.map((handle) => repository.read(handle, 0.001)));
    let turns = 0;
    const turn = (): void => void (turns >= 0 && ++turns && setImmediate(turn));
    setImmediate(turn);
    expect(await repository.count({})).toBe(0);
    expect(turns).toBeGreaterThan(3);
    turns = -1;
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
