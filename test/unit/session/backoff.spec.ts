import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { SessionConflictError } from '../../../lib/errors.js';
import { Backoff } from '../../../lib/session/session-writer.js';

describe('The tries of a write', () => {
  afterEach(() => void jest.restoreAllMocks());

  it.each([-3_600_000, 3_600_000])('have their time, though the clock is set by %d ms meanwhile', async (step) => {
    const backoff = new Backoff(60_000);
    const now = Date.now();
    jest.spyOn(Date, 'now').mockReturnValue(now + step);
    expect(backoff.isOver).toBe(false);
    expect(backoff.remaining).toBeGreaterThan(0);
    expect(backoff.remaining).toBeLessThanOrEqual(60_000);
    await backoff.wait();
  });

  it('end as a conflict', async () => {
    const backoff = new Backoff(0);
    expect(backoff.isOver).toBe(true);
    await expect(backoff.wait()).rejects.toThrow(SessionConflictError);
  });
});
