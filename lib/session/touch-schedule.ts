import { LRUCache } from 'lru-cache';

/** Sessions remembered by one process; a forgotten one is merely touched a little early. */
const CAPACITY = 100_000;

/**
 * When a session was last extended, as far as this process knows. So a read knows beforehand whether to take the touch
 * along, and sliding expiry costs at most one write per `touchInterval` and process.
 */
export class TouchSchedule {
  private readonly touched = new LRUCache<string, number>({ max: CAPACITY });

  /** @param interval milliseconds between two touches of one session. */
  constructor(private readonly interval: number) {}

  isDue(handle: string, now: number): boolean {
    return now - this.last(handle) >= this.interval;
  }

  /** Epoch milliseconds of the last touch; 0 for never. A look does not count as use: who was touched longest ago is due first. */
  last(handle: string): number {
    return this.touched.peek(handle) ?? 0;
  }

  note(handle: string, at: number): void {
    this.touched.set(handle, at);
  }
}
