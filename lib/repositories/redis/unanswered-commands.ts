/** Commands that were given within the same period. */
export interface CommandGroup {
  period: number;
  unanswered: number;
}

/**
 * How long commands have been waiting for an answer, in periods of a timer. Periods are counted, and no clock is read: while this
 * process is busy or suspended no period ends, so its own pauses are not taken for those of the server.
 */
export class UnansweredCommands {
  private readonly groups: CommandGroup[] = [];
  private newest: CommandGroup | undefined;
  private period = 0;
  private total = 0;

  get count(): number {
    return this.total;
  }

  /** Full periods that the oldest command has been waiting. */
  get age(): number {
    while (this.groups[0]?.unanswered === 0 && this.groups[0] !== this.newest) this.groups.shift();
    const [oldest] = this.groups;
    return oldest === undefined || oldest.unanswered === 0 ? 0 : Math.max(0, this.period - oldest.period - 1);
  }

  /** @returns what `answered` is to be called with. */
  given(): CommandGroup {
    this.total++;
    if (this.newest === undefined) this.groups.push((this.newest = { period: this.period, unanswered: 0 }));
    this.newest.unanswered++;
    return this.newest;
  }

  answered(group: CommandGroup): void {
    this.total--;
    group.unanswered--;
  }

  endPeriod(): void {
    this.period++;
    this.newest = undefined;
  }

  /** Counts from now on for all that wait: they are to be sent again. */
  restart(): void {
    for (const group of this.groups) group.period = this.period;
  }
}
