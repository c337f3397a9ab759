import { SessionLogger } from '../../common/session-logger.js';
import { setTimeout as sleep } from 'node:timers/promises';

/** Where the sessions are. */
export interface Evictable {
  /** Epoch milliseconds; undefined when it is gone. */
  expiryOf(handle: string): Promise<number | undefined>;
  remove(handle: string): Promise<unknown>;
  /** Walks over all sessions in the background, and calls `begin` and then `complete`. */
  recount(): Promise<void>;
}

interface Candidate {
  readonly handle: string;
  readonly expiry: number;
}

/** Until the sessions were counted for the first time a create waits for that, but not longer than this, in milliseconds. */
const FIRST_COUNT_PATIENCE = 100;
/** The folder is counted again after so many new sessions, as a share of the threshold: other processes make some too. */
const RECOUNT = 0.05;
/** A number that is known better than that, as a share of the threshold, needs no recount so soon. */
const EXACT = 0.01;
/** The most sessions whose expiry is kept in memory, about 100 bytes each. */
const MOST_CANDIDATES = 50_000;
/** Sessions that one create removes: not only one, so that a surplus goes down. */
const EVICTIONS_A_CREATE = 3;
/** Sessions that one eviction looks at before it gives up: those that were used meanwhile are passed over. */
const LOOKS_AN_EVICTION = 20;

/**
 * Keeps the number of sessions in a folder about below a threshold, by what is known: a number, and the sessions that expire first. Both come
 * from a walk in the background and are kept up to date by what this process does; what other processes do is seen by the next walk,
 * which comes the earlier the more they do. No create waits for a walk over many sessions.
 */
export class Threshold {
  private readonly logger = new SessionLogger();
  /** How many sessions there are, as far as is known; undefined until they were counted. */
  private estimate: number | undefined;
  /** By expiry, the earliest first. An expiry is as it was when it was last looked at. */
  private candidates: Candidate[] = [];
  /** Whether the candidates are all sessions there are. */
  private isAll = true;
  private walked: Candidate[] = [];
  private walkedCount = 0;
  /** What this process has created (true) and removed (false) since the walk began. */
  private sinceWalk = new Map<string, boolean>();
  /** What is being created. */
  private readonly pending = new Set<string>();
  /** What is being removed. */
  private readonly leaving = new Set<string>();
  private createdSinceCount = 0;
  private recountAfter: number;
  private counting: Promise<void> | undefined;
  private hasWarned = false;

  /** @param limit 0 for none. */
  constructor(
    private readonly limit: number,
    private readonly sessions: Evictable,
  ) {
    this.recountAfter = Math.max(1, limit * RECOUNT);
  }

  /** To be called before a session is created; `settle` has to follow. */
  async makeRoom(handle: string): Promise<void> {
    if (this.limit === 0) return;
    this.pending.add(handle);
    if (this.estimate === undefined) await Promise.race([this.count(), sleep(FIRST_COUNT_PATIENCE, undefined, { ref: false })]);
    else this.estimate++;
    if (++this.createdSinceCount >= this.recountAfter) void this.count();
    for (let evictions = 0; this.isOver && evictions < EVICTIONS_A_CREATE; evictions++) if (!(await this.evict())) break;
  }

  /** The end of a creation. @param expiry epoch milliseconds; undefined when nothing was created. */
  settle(handle: string, expiry: number | undefined): void {
    if (!this.pending.delete(handle)) return;
    if (expiry === undefined) {
      if (this.estimate !== undefined) this.estimate--;
      return;
    }
    this.sinceWalk.set(handle, true);
    if (this.isAll) this.insert({ handle, expiry });
  }

  /**
   * Lets a session end.
   *
   * @param remove tells whether it is gone.
   */
  async ending(handle: string, remove: () => Promise<boolean>): Promise<boolean> {
    if (this.limit === 0) return remove();
    this.leaving.add(handle);
    if (this.estimate !== undefined) this.estimate--;
    let isGone = false;
    try {
      isGone = await remove();
    } finally {
      this.leaving.delete(handle);
      if (isGone) this.sinceWalk.set(handle, false);
      else if (this.estimate !== undefined) this.estimate++;
    }
    return isGone;
  }

  /** A walk begins. */
  begin(): void {
    this.walked = [];
    this.walkedCount = 0;
    this.sinceWalk = new Map();
    this.createdSinceCount = 0;
  }

  /** A walk came by a session. */
  add(handle: string, expiry: number): void {
    if (this.limit === 0) return;
    this.walkedCount++;
    this.walked.push({ handle, expiry });
    if (this.walked.length >= 2 * MOST_CANDIDATES) this.walked = earliest(this.walked);
  }

  /** The walk has come to its end. */
  complete(): void {
    if (this.limit === 0) return;
    const isKnown = (handle: string): boolean => this.sinceWalk.has(handle) || this.pending.has(handle) || this.leaving.has(handle);
    const walked = this.walked.filter(({ handle }) => !isKnown(handle));
    const created = this.candidates.filter(({ handle }) => this.sinceWalk.get(handle) === true);
    let alive = this.pending.size;
    for (const isCreated of this.sinceWalk.values()) if (isCreated) alive++;
    const count = this.walkedCount - (this.walked.length - walked.length) + alive;
    // Where this process alone makes sessions it knows how many there are, and looks more seldom.
    const isAsKnown = this.estimate !== undefined && Math.abs(this.estimate - count) <= this.limit * EXACT;
    this.recountAfter = isAsKnown ? Math.min(this.limit, MOST_CANDIDATES, this.recountAfter * 2) : Math.max(1, this.limit * RECOUNT);
    this.estimate = count;
    this.candidates = earliest([...walked, ...created]);
    this.isAll = this.candidates.length === count - this.pending.size;
    this.walked = [];
  }

  private get isOver(): boolean {
    return this.estimate !== undefined && this.estimate > this.limit;
  }

  private count(): Promise<void> {
    return (this.counting ??= this.sessions
      .recount()
      // It is reported where it failed; the next create tries again.
      .catch(() => undefined)
      .then(() => this.trim())
      .finally(() => (this.counting = undefined)));
  }

  /** Removes what other processes have made too many. */
  private async trim(): Promise<void> {
    while (this.isOver && (await this.evict()));
  }

  /** @returns whether a session was removed, or had gone already. */
  private async evict(): Promise<boolean> {
    for (let looks = 0; looks < LOOKS_AN_EVICTION; looks++) {
      const candidate = this.candidates.shift();
      if (candidate === undefined) break;
      // This process has removed it, and counted that.
      if (this.sinceWalk.get(candidate.handle) === false || this.leaving.has(candidate.handle)) continue;
      if (await this.ending(candidate.handle, () => this.removeUnused(candidate))) return true;
    }
    if (this.candidates.length === 0 && !this.isAll) void this.count();
    return false;
  }

  /** False for a session that was used since it was looked at: it takes its new place. */
  private async removeUnused({ handle, expiry: known }: Candidate): Promise<boolean> {
    const expiry = await this.sessions.expiryOf(handle);
    if (expiry === undefined) return true;
    if (expiry > known + 1) {
      this.insert({ handle, expiry });
      return false;
    }
    await this.sessions.remove(handle);
    if (expiry > Date.now()) this.warn();
    return true;
  }

  private insert(candidate: Candidate): void {
    let [low, high] = [0, this.candidates.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.candidates[middle]?.expiry ?? 0) <= candidate.expiry) low = middle + 1;
      else high = middle;
    }
    this.candidates.splice(low, 0, candidate);
  }

  private warn(): void {
    if (this.hasWarned) return;
    this.hasWarned = true;
    this.logger.warn(
      `there are ${this.limit} sessions or more (option 'filesystem.threshold'): the longest unused are being removed. ` +
        'Raise it, or choose a back end for more.',
    );
  }
}

/** The candidates that expire first, in order, as many as are kept. */
function earliest(candidates: Candidate[]): Candidate[] {
  return candidates.sort((a, b) => a.expiry - b.expiry).slice(0, MOST_CANDIDATES);
}
