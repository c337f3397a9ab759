/**
 * Turns by key within this process: whoever comes while another is at it waits, and is handed what the one before left.
 */
export class WriteTurns<T> {
  private readonly tails = new Map<string, Promise<T | undefined>>();

  /** Whether a turn of this key is under way, so that the next one has to wait. */
  isTaken(key: string): boolean {
    return this.tails.has(key);
  }

  /** Runs `turn` after all turns of the same key that came before. A turn that fails hands on nothing. */
  async take(key: string, turn: (predecessor: T | undefined) => Promise<T | undefined>): Promise<void> {
    const before = this.tails.get(key);
    const mine = before === undefined ? turn(undefined) : before.then(turn, () => turn(undefined));
    this.tails.set(key, mine);
    try {
      await mine;
    } finally {
      if (this.tails.get(key) === mine) this.tails.delete(key);
    }
  }
}
