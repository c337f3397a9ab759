/** The longest lifetime that Memcached takes as one; a larger number is a date to it, in Unix seconds. */
const LONGEST_SPAN = 30 * 24 * 60 * 60;
/** Memcached reads dates as signed 32-bit numbers, and drops what lies after at once. */
const LAST_DATE = 2 ** 31 - 1;
/** How long a comparison of the clocks is good for, in milliseconds. */
const GOOD_FOR = 60 * 60 * 1000;

/** Lifetimes as one server takes them. */
export class MemcachedClock {
  private compared: { at: number; ahead: number } | undefined;

  /** @param ask the server's time in Unix seconds; undefined where it does not tell. */
  constructor(private readonly ask: () => Promise<number | undefined>) {}

  /**
   * What to send for a lifetime in milliseconds: whole seconds, rounded up. And one more, because Memcached's clock ticks once a
   * second and counts the tick under way as a whole one: of "one second" it gives between none and one.
   */
  async expiry(ttl: number): Promise<number> {
    const seconds = Math.ceil(ttl / 1000) + 1;
    if (seconds <= LONGEST_SPAN) return seconds;
    const now = localTime() + (await this.ahead());
    return Math.min(LAST_DATE, Math.ceil(now / 1000) + seconds);
  }

  /** Forgets the comparison: the server may be another one now. */
  reset(): void {
    this.compared = undefined;
  }

  /** Milliseconds by which the server's clock is ahead of ours; compared when a date is needed, and again every hour. */
  private async ahead(): Promise<number> {
    const now = localTime();
    if (this.compared === undefined || now - this.compared.at > GOOD_FOR) {
      const seconds = await this.ask();
      this.compared = { at: now, ahead: seconds === undefined ? 0 : seconds * 1000 - now };
    }
    return this.compared.ahead;
  }
}

/** Epoch milliseconds that go on evenly when the time of the machine is set. */
function localTime(): number {
  return performance.timeOrigin + performance.now();
}
