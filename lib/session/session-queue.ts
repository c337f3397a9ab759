/** Work that has its session for itself. It is handed what the turn before left, and returns what it leaves to the next one. */
type Turn<T> = (predecessor: T | undefined) => Promise<T | undefined>;

/** A turn that waits, and that other writes may join until it begins. */
interface WaitingGroup<M> {
  readonly members: M[];
  readonly done: Promise<void>;
}

/**
 * One queue for each session within this process: a write waits while another one is under way. A turn that fails hands on nothing.
 *
 * @typeParam T what a turn leaves. @typeParam M what many may do in one turn.
 */
export class SessionQueue<T, M = never> {
  private readonly tails = new Map<string, Promise<T | undefined>>();
  private readonly waiting = new Map<string, WaitingGroup<M>>();

  /** Whether a turn of this session could begin at once. */
  isFree(key: string): boolean {
    return !this.tails.has(key);
  }

  /** Runs `turn` after all turns of the same session that came before. */
  take(key: string, turn: Turn<T>): Promise<void> {
    // Close the waiting group: later writes must run after this one.
    this.waiting.delete(key);
    return this.enqueue(key, turn);
  }

  /**
   * Joins the group that waits for this session, or else begins one. So however many writes come at once, one turn is under way and
   * one waits.
   *
   * @param turn is given all members, in the order in which they came.
   */
  share(key: string, member: M, turn: (members: readonly M[], predecessor: T | undefined) => Promise<T | undefined>): Promise<void> {
    const group = this.waiting.get(key);
    if (group !== undefined) {
      group.members.push(member);
      return group.done;
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
