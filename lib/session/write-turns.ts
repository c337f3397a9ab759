/** Work that has its key for itself. It is handed what the turn before left, and returns what it leaves to the next one. */
type Turn<T> = (predecessor: T | undefined) => Promise<T | undefined>;

/** A turn that waits, and that others may join until it begins. */
interface Waiting<M> {
  readonly members: M[];
  readonly done: Promise<void>;
}

/**
 * Turns by key within this process: whoever comes while another is at it waits. A turn that fails hands on nothing.
 *
 * @typeParam T what a turn leaves. @typeParam M what many may do in one turn.
 */
export class WriteTurns<T, M = never> {
  private readonly tails = new Map<string, Promise<T | undefined>>();
  private readonly waiting = new Map<string, Waiting<M>>();

  /** Whether nobody has to wait for a turn. */
  isFree(key: string): boolean {
    return !this.tails.has(key);
  }

  /** Runs `turn` after all turns of the same key that came before. */
  take(key: string, turn: Turn<T>): Promise<void> {
    // Nobody who comes from now on may be part of what waits before this one.
    this.waiting.delete(key);
    return this.enqueue(key, turn);
  }

  /**
   * Joins the last turn that waits, where there is one that can be joined; else takes one that others may join. So there are never
   * more than two: however many come at once, one is under way and one waits.
   *
   * @param turn is given all members, in the order in which they came.
   */
  share(key: string, member: M, turn: (members: readonly M[], predecessor: T | undefined) => Promise<T | undefined>): Promise<void> {
    const open = this.waiting.get(key);
    if (open !== undefined) {
      open.members.push(member);
      return open.done;
    }
    const members = [member];
    const isFirst = this.isFree(key);
    const done = this.enqueue(key, (predecessor) => {
      if (this.waiting.get(key)?.members === members) this.waiting.delete(key);
      return turn(members, predecessor);
    });
    if (!isFirst) this.waiting.set(key, { members, done });
    return done;
  }

  private async enqueue(key: string, turn: Turn<T>): Promise<void> {
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
