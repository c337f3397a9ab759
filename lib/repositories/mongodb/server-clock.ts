const REFRESH_INTERVAL = 5 * 60 * 1000;

/**
 * The time by the clock of the server, which is one for all processes: by it records expire, and by it the server removes them.
 * Computed from this process's clock and how far apart the two were when last compared.
 */
export class ServerClock {
  private offset: number | undefined;
  private comparedAt = 0;
  private isStale = false;
  private comparing: Promise<number> | undefined;

  /**
   * @param ask asks the server for the time, in epoch milliseconds; undefined where it does not tell, which makes this process's
   *   clock the one that counts.
   * @param local a clock of this process, in epoch milliseconds. By default one that goes on evenly when the time of the machine is set.
   */
  constructor(
    private readonly ask: () => Promise<number | undefined>,
    private readonly local: () => number = () => performance.timeOrigin + performance.now(),
  ) {}

  /** Epoch milliseconds. Only the first call waits for the server; later ones at most cause a comparison in the background. */
  async now(): Promise<number> {
    if (this.offset === undefined) {
      const offset = await this.compare();
      return this.local() + offset;
    }
    if (this.isStale || Math.abs(this.local() - this.comparedAt) >= REFRESH_INTERVAL) this.compare().catch(() => undefined);
    return this.local() + this.offset;
  }

  /** The server may be another one by now. */
  expire(): void {
    this.isStale = true;
  }

  /** What fails is tried again by the next call of `now`. */
  private compare(): Promise<number> {
    this.comparing ??= this.askForOffset().finally(() => {
      this.comparing = undefined;
    });
    return this.comparing;
  }

  private async askForOffset(): Promise<number> {
    this.isStale = false;
    const sent = this.local();
    try {
      const answer = await this.ask();
      const received = this.local();
      this.comparedAt = received;
      // The answer is most likely from half-way between question and arrival.
      this.offset = answer === undefined ? 0 : Math.round(answer - (sent + received) / 2);
      return this.offset;
    } catch (error) {
      this.isStale = true;
      throw error;
    }
  }
}
