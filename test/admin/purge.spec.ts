import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { PurgeTimer } from '../../lib/admin/purge.timer.js';
import { MemorySessionRepository } from '../../lib/repositories/memory/memory-session.repository.js';
import { startAdmin } from './support/application.js';

const INTERVAL = 60_000;

describe('The purge', () => {
  const timers: PurgeTimer[] = [];
  let repository: MemorySessionRepository;
  let purges: number[];
  const start = (interval: number | false = INTERVAL): PurgeTimer => {
    const timer = new PurgeTimer(repository, { purgeInterval: interval });
    timers.push(timer);
    timer.onApplicationBootstrap();
    return timer;
  };
  beforeEach(() => {
    jest.useFakeTimers();
    repository = new MemorySessionRepository();
    purges = [];
    repository.purgeExpired = async () => purges.push(Date.now());
  });
  afterEach(() => {
    for (const timer of timers.splice(0)) timer.beforeApplicationShutdown();
    jest.useRealTimers();
    jest.restoreAllMocks();
  });

  it('happens once in every interval, at a random moment', async () => {
    const begin = Date.now();
    start();
    await jest.advanceTimersByTimeAsync(50 * INTERVAL);
    expect(purges.map((at) => Math.floor((at - begin) / INTERVAL))).toEqual(Array.from({ length: 50 }, (_unused, n) => n));
    const moments = purges.map((at) => (at - begin) % INTERVAL);
    expect(Math.max(...moments) - Math.min(...moments)).toBeGreaterThan(INTERVAL / 4);
  });

  it('never overlaps itself', async () => {
    let [running, most] = [0, 0];
    repository.purgeExpired = async () => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 5 * INTERVAL));
      return running--;
    };
    start();
    await jest.advanceTimersByTimeAsync(40 * INTERVAL);
    expect(most).toBe(1);
  });

  it('goes on after an error, which is logged once', async () => {
    const log = jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
    repository.purgeExpired = async () => {
      purges.push(Date.now());
      throw new Error('the disk is on fire');
    };
    start();
    await jest.advanceTimersByTimeAsync(10 * INTERVAL);
    expect(purges).toHaveLength(10);
    expect(log).toHaveBeenCalledTimes(1);
    expect(log.mock.calls[0]?.[0]).toMatch(/the disk is on fire/);
  });

  it('stops with the application', async () => {
    start().beforeApplicationShutdown();
    await jest.advanceTimersByTimeAsync(5 * INTERVAL);
    expect(purges).toEqual([]);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('stops with an application that shuts down while it is under way', async () => {
    let finish = (): void => undefined;
    repository.purgeExpired = () => new Promise((resolve) => (finish = () => resolve(purges.push(Date.now()))));
    const timer = start();
    await jest.advanceTimersByTimeAsync(INTERVAL);
    timer.beforeApplicationShutdown();
    finish();
    await jest.advanceTimersByTimeAsync(5 * INTERVAL);
    expect([purges.length, jest.getTimerCount()]).toEqual([1, 0]);
  });

  it('does not happen where it is switched off, or the store does it itself', async () => {
    start(false);
    Object.assign(repository, { purgeExpired: undefined });
    start();
    expect(jest.getTimerCount()).toBe(0);
  });
});

describe('purgeExpired() of SessionService', () => {
  it.each([
    ['how many the store has removed', async () => 3, 3],
    ['0 where the store does it itself', undefined, 0],
  ])('says %s', async (_what, purgeExpired, expected) => {
    const repository = Object.assign(new MemorySessionRepository(), { purgeExpired });
    const app = await startAdmin({ repository, purge: false });
    expect(await app.sessions.purgeExpired()).toBe(expected);
    await app.close();
  });
});
