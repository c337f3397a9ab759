import { LRUCache } from 'lru-cache';

/** Sessions remembered by one process; a forgotten one costs one more command the next time. */
const CAPACITY = 100_000;
/** More than one, so that they become fewer while others are noted. */
const FORGOTTEN_AT_ONCE = 4;

/** The last touch of a session by this process. */
interface Touch {
  /** Milliseconds of the monotonic clock: the clock of the day may be set back. */
  readonly at: number;
  /** The lifetime that the session was given, in milliseconds. */
  readonly lifetime: number;
}

/**
 * When a session was last extended, as far as this process knows, and by how much. So a read knows beforehand whether to take the touch
 * along, and sliding expiry costs at most one write per `touchInterval` and process.
 */
export class TouchSchedule {
  private readonly touches = new LRUCache<string, Touch>({ max: CAPACITY });

  /**
   * @param interval milliseconds between two touches of a session.
   * @param lifetime of sessions that have none of their own, in milliseconds.
   */
  constructor(
    private readonly interval: number,
    private readonly lifetime: number,
  ) {}

  knows(handle: string): boolean {
    return this.touches.has(handle);
  }

  /** The lifetime to give a session along with a read; undefined where no touch is due, or the session is not known here. */
  due(handle: string): number | undefined {
    // `peek` does not count as a use here: the session that was touched longest ago is forgotten first.
    const last = this.touches.peek(handle);
    return last !== undefined && performance.now() - last.at >= this.intervalFor(last.lifetime) ? last.lifetime : undefined;
  }

  /** Whether something that happened at this instant of the day is long enough ago. An instant in the future counts as long ago. */
  isLongAgo(instant: number, lifetime: number): boolean {
    const age = Date.now() - instant;
    return age < 0 || age >= this.intervalFor(lifetime);
  }

  /** Epoch milliseconds of the last touch; 0 for none. */
  last(handle: string): number {
    const last = this.touches.peek(handle);
    return last === undefined ? 0 : Date.now() - (performance.now() - last.at);
  }

  /** @param age how many milliseconds ago it was. */
  note(handle: string, lifetime: number, age = 0): void {
    this.forgetOldest();
    this.touches.set(handle, { at: performance.now() - age, lifetime });
  }

  /** After a session has ended, or has another handle. */
  forget(handle: string): void {
    this.touches.delete(handle);
  }

  /** Most sessions are abandoned. Where one has lived its lifetime since the last touch by this process, nothing is known of it any more. */
  private forgetOldest(): void {
    const now = performance.now();
    let count = 0;
    for (const last of this.touches.rvalues()) {
      if (count === FORGOTTEN_AT_ONCE || last === undefined || now - last.at < last.lifetime) break;
      count++;
    }
    while (count-- > 0) this.touches.pop();
  }

  /** A session with a short lifetime of its own must not end between two touches. */
  private intervalFor(lifetime: number): number {
    return lifetime === this.lifetime ? this.interval : Math.min(this.interval, lifetime / 10);
  }
}
