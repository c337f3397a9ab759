import { setTimeout as sleep } from 'node:timers/promises';
import { SessionConflictError } from '../errors.js';

const FIRST_WAIT = 2;
const LONGEST_WAIT = 100;

/** Waits between the tries of a write: longer each time, at random ("full jitter"), and not for ever. */
export class Backoff {
  /** By the monotonic clock, for the time of day may be set meanwhile. */
  private readonly end: number;
  private tries = 0;

  /** @param budget milliseconds for all tries together. */
  constructor(budget: number) {
    this.end = performance.now() + budget;
  }

  get isOver(): boolean {
    return this.remaining <= 0;
  }

  /** Milliseconds. */
  get remaining(): number {
    return this.end - performance.now();
  }

  /** @throws SessionConflictError once the budget is used up. */
  async wait(): Promise<void> {
    if (this.isOver) throw new SessionConflictError(`${this.tries} tries did not get through within 'storeTimeout'`);
    const longest = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** this.tries++);
    await sleep(Math.random() * longest);
  }
}
