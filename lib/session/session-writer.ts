import { Inject, Injectable } from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import { withTimeout } from '../common/with-timeout.js';
import { SessionConflictError, SessionStoreError, SessionStoreTimeoutError } from '../errors.js';
import { RESOLVED_OPTIONS, type ResolvedSessionOptions } from '../options/resolved-options.js';
import {
  applyChanges,
  assertSize,
  Attribute,
  type FieldChanges,
  NO_CHANGES,
  type SerializedFields,
  type SessionContent,
} from '../storage/record.codec.js';
import { type Base, hasSamePrincipal, type Place, SessionStore } from '../storage/session-store.js';
import type { SessionState } from './session-state.js';

/** What one request has to write. */
interface PendingWrite {
  readonly state: SessionState;
  /** What the request loaded. */
  readonly base: Base;
  readonly changes: FieldChanges;
  /** How long its request may wait. */
  readonly backoff: Backoff;
  /** Whether it has come to its turn. */
  hasBegun: boolean;
  /** Why it could not be written, where other writes of its group may have been. */
  error?: Error;
}

/** How a session gets another handle. */
export interface Move {
  readonly to: string;
  readonly changes: FieldChanges;
  /** Whether what other requests stored meanwhile is kept; without it only the fields of this request move. */
  readonly keep: boolean;
  /** Whether requests with the old id find the session for the grace. */
  readonly forward: boolean;
}

const FIRST_WAIT = 2;
const LONGEST_WAIT = 100;

/** Another process was faster: read what it wrote, and try again. */
const CONFLICT = Symbol('conflict');

/**
 * Writes sessions against the version that a change is based on, and where another request was first, on top of what that one wrote.
 * In one process the writes of a session take turns and hand on what they wrote, so conflicts come from other processes only.
 */
@Injectable()
export class SessionWriter {
  private readonly queue = new SessionQueue<Place, PendingWrite>();

  constructor(
    private readonly store: SessionStore,
    @Inject(RESOLVED_OPTIONS)
    private readonly options: Pick<ResolvedSessionOptions, 'concurrency' | 'storeTimeout' | 'maxBytes' | 'serializer' | 'regenerateGrace'>,
  ) {}

  /**
   * Stores the changes of a request. Those of one process that change the same session at the same time wait for each other, and all
   * that wait go to the store in one update, in the order in which they came. A session that is gone stays gone.
   *
   * @throws SessionConflictError when `concurrency` is `'reject'`, when other processes were faster for all of `storeTimeout`, or when
   *   the request came with an id that was regenerated and wants to change the principal.
   */
  write(state: SessionState, base: Base, changes: FieldChanges): Promise<void> {
    const { storeTimeout } = this.options;
    const write: PendingWrite = { state, base, changes, backoff: new Backoff(storeTimeout), hasBegun: false };
    const { handle } = state;
    const mustWait = !this.queue.isFree(handle);
    const storing = this.enqueue(handle, write);
    // A write that does not have to wait is never late: each question to the store has no more time than is left.
    return mustWait ? withTimeout(storing, storeTimeout, () => this.tooLate(!write.hasBegun)) : storing;
  }

  /**
   * Runs `change` on the latest state and stores the result, again and again until no other process was faster.
   *
   * @param open makes the state that `change` works on.
   * @throws SessionConflictError when the session is gone, when it has another id by now, or when it did not come to its turn within
   *   `storeTimeout`.
   */
  async update<T>(state: SessionState, change: (latest: SessionState) => T | Promise<T>, open: (place: Place) => SessionState): Promise<T> {
    if (state.phase === 'following') throw hasNewId();
    let outcome: { value: T } | undefined;
    await this.inTurn(state.handle, async (predecessor, backoff, tooLate) => {
      const place = await this.untilItWins(predecessor ?? placeOf(state), backoff, async (latest) => {
        if (latest.handle !== state.handle) throw hasNewId();
        const working = open(latest);
        const value = await change(working);
        // The change itself may have been slow. Its request has its answer by now.
        if (backoff.isOver) throw tooLate();
        const stored = await this.putChanges(latest, working, backoff.remaining);
        if (stored !== undefined && stored !== CONFLICT) outcome = { value };
        return stored;
      });
      if (place === undefined) state.markEnded();
      else state.wrote(place, NO_CHANGES, false);
      return place;
    });
    if (outcome === undefined) throw new SessionConflictError('it was destroyed meanwhile');
    return outcome.value;
  }

  /**
   * Gives a session another handle: the new record first, then the end of the old one, so that a crash in between loses nothing.
   *
   * @returns what stands under the new handle; undefined when the session has ended meanwhile.
   * @throws SessionConflictError when another request did so first. This one may be a log-in, and must not happen in a session whose
   *   new id another client has.
   */
  async move(state: SessionState, { to, changes, keep, forward }: Move): Promise<Base | undefined> {
    const from = placeOf(state);
    const cookieAt = Date.now();
    let created: Base | undefined;
    let moved: Base | undefined;
    await this.inTurn(from.handle, async (_predecessor, backoff) => {
      try {
        await this.untilItWins(from, backoff, async (latest) => {
          if (latest.handle !== from.handle) throw hasNewId();
          if (!hasSamePrincipal(from.base.content, latest.base.content)) return undefined;
          const fields = keep ? applyChanges(latest.base.content.fields, changes) : state.fields.serialized();
          created = await this.prepare(to, this.contentOf(state, fields, cookieAt), created);
          if (created === undefined) return undefined;
          if (!(await this.leave(latest, forward ? to : undefined))) return CONFLICT;
          moved = created;
          return latest;
        });
      } finally {
        if (created !== undefined && moved === undefined) await this.discard(to, from.handle).catch(() => undefined);
      }
      return undefined;
    });
    return moved;
  }

  /**
   * Ends a session, wherever it went meanwhile.
   *
   * @returns the handle under which it ended; undefined when there was none any more.
   * @throws SessionConflictError when other processes kept changing it for all of `storeTimeout`; it is still there.
   */
  async end(place: Place): Promise<string | undefined> {
    const seen = new Set<string>();
    const ended = await this.untilItWins(place, new Backoff(this.options.storeTimeout), async (latest) => {
      seen.add(latest.handle);
      return (await this.store.delete(latest.handle, latest.base.version)) ? latest : CONFLICT;
    });
    // Where it went from one handle to another, what is left under the first leads nowhere any more.
    if (ended !== undefined) seen.delete(ended.handle);
    for (const handle of seen) await this.store.delete(handle);
    return ended?.handle;
  }

  /** What is to be stored of a session. @param cookieAt when its cookie is sent. @throws SessionTooLargeError when its data exceed `maxBytes`. */
  contentOf(state: SessionState, fields: SerializedFields, cookieAt = state.cookieAt): SessionContent {
    assertSize(fields, this.options.maxBytes);
    return this.contentWithin(state, fields, cookieAt);
  }

  /** As `contentOf`, for data whose size is known to be allowed. */
  private contentWithin(state: SessionState, fields: SerializedFields, cookieAt = state.cookieAt): SessionContent {
    const { createdAt, deadline, base } = state;
    const { serializerName: serializer } = this;
    return { kind: 'session', createdAt, accessedAt: Date.now(), cookieAt, deadline, serializer, fields, unknown: base?.content.unknown };
  }

  /** The one loop that tries again: each time on what is stored by then. @returns undefined for a session that is gone. */
  private async untilItWins(
    from: Place,
    backoff: Backoff,
    attempt: (latest: Place) => Promise<Place | typeof CONFLICT | undefined>,
  ): Promise<Place | undefined> {
    for (let latest: Place | undefined = from; latest !== undefined; latest = await this.store.follow(latest.handle, backoff.remaining)) {
      const outcome = await attempt(latest);
      if (outcome !== CONFLICT) return outcome;
      await backoff.wait();
    }
    return undefined;
  }

  /** A turn of the session. The caller has its answer within `storeTimeout`, waiting included. */
  private inTurn(
    handle: string,
    work: (predecessor: Place | undefined, backoff: Backoff, tooLate: () => Error) => Promise<Place | undefined>,
  ): Promise<void> {
    const { storeTimeout } = this.options;
    const backoff = new Backoff(storeTimeout);
    const hadToWait = !this.queue.isFree(handle);
    const tooLate = (): Error => this.tooLate(hadToWait);
    const done = this.queue.take(handle, async (predecessor) => {
      // Its request was answered long ago: what it wanted to write must not appear now.
      if (backoff.isOver) throw tooLate();
      return work(predecessor, backoff, tooLate);
    });
    return withTimeout(done, storeTimeout, tooLate);
  }

  private async enqueue(handle: string, write: PendingWrite): Promise<void> {
    if (this.mayShare(write)) await this.queue.share(handle, write, (group, predecessor) => this.storeAll(group, predecessor));
    else await this.queue.take(handle, (predecessor) => this.storeAll([write], predecessor));
    if (write.error !== undefined) throw write.error;
  }

  /** With `'reject'` each write must see its own conflicts. And a new principal decides which of the later writes count. */
  private mayShare({ changes }: PendingWrite): boolean {
    return this.options.concurrency !== 'reject' && !changes.has(Attribute.principal);
  }

  private async storeAll(group: readonly PendingWrite[], predecessor: Place | undefined): Promise<Place | undefined> {
    const { concurrency } = this.options;
    const { state, backoff } = group.at(-1)!;
    for (const write of group) write.hasBegun = true;
    const known = concurrency === 'reject' ? undefined : predecessor;
    const from = known ?? (state.phase === 'following' ? await this.store.follow(state.handle, backoff.remaining) : placeOf(state));
    let writes = group;
    const place =
      from &&
      (await this.untilItWins(from, backoff, async (latest) => {
        const merged = this.merge(writes, latest);
        writes = merged.writes;
        const last = writes.at(-1);
        if (last === undefined) return undefined;
        const stored = await this.put(latest, this.contentWithin(last.state, merged.fields), last.backoff.remaining);
        if (stored === CONFLICT && concurrency === 'reject') throw new SessionConflictError(`the option 'concurrency' is 'reject'`);
        return stored;
      }));
    for (const write of writes) {
      if (place === undefined) write.state.markEnded();
      else write.state.wrote(place, write.changes, writes.length > 1);
    }
    return place;
  }

  /** The changes of writes on top of the latest state, one after the other. Those that cannot be part of it get their error. */
  private merge(writes: readonly PendingWrite[], latest: Place): { writes: readonly PendingWrite[]; fields: SerializedFields } {
    const accepted: PendingWrite[] = [];
    let { fields } = latest.base.content;
    for (const write of writes) {
      const { state, base } = write;
      const hasOldId = state.phase === 'following' || latest.handle !== state.handle;
      // Another user may have logged in since, and the old id may be an attacker's.
      if (hasOldId && !hasSamePrincipal(base.content, latest.base.content)) {
        state.markEnded();
        continue;
      }
      try {
        fields = this.withChanges(write, fields, hasOldId);
        accepted.push(write);
      } catch (error) {
        write.error = error as Error;
      }
    }
    return { writes: accepted, fields };
  }

  private withChanges({ state, changes, backoff }: PendingWrite, fields: SerializedFields, hasOldId: boolean): SerializedFields {
    // Its request was answered long ago: what it wanted to write must not appear now.
    if (backoff.isOver) throw this.tooLate(false);
    if (hasOldId && changes.has(Attribute.principal)) throw hasNewId();
    const next = this.options.concurrency === 'overwrite' ? state.fields.serialized() : applyChanges(fields, changes);
    assertSize(next, this.options.maxBytes);
    return next;
  }

  private async putChanges(latest: Place, working: SessionState, timeout: number): Promise<Place | typeof CONFLICT | undefined> {
    const { content } = latest.base;
    const changes = working.fields.changes();
    if (changes.size > 0) return this.put(latest, this.contentOf(working, applyChanges(content.fields, changes)), timeout);
    // Counts as a use all the same.
    return (await this.store.read(latest.handle, this.store.lifetimeOf(content), timeout)) && latest;
  }

  private async put({ handle, base }: Place, content: SessionContent, timeout?: number): Promise<Place | typeof CONFLICT | undefined> {
    const result = await this.store.update(handle, content, base.version, timeout);
    if (result.status === 'updated') return { handle, base: { version: result.version, content } };
    return result.status === 'conflict' ? CONFLICT : undefined;
  }

  /** The record under a new handle: created, or changed where a conflict made it out of date. */
  private async prepare(handle: string, content: SessionContent, created: Base | undefined): Promise<Base | undefined> {
    if (created !== undefined) {
      const result = await this.store.update(handle, content, created.version);
      return result.status === 'updated' ? { version: result.version, content } : undefined;
    }
    const version = await this.store.create(handle, content);
    if (version === undefined) throw new SessionStoreError('move a session', new Error('its new id is taken'));
    return { version, content };
  }

  /**
   * Removes the record of a new id that was not handed out: it only takes room. But where the answer got lost, the old record may be
   * at its end all the same, and the session goes on under the new one.
   */
  private async discard(handle: string, oldHandle: string): Promise<void> {
    if ((await this.store.follow(oldHandle))?.handle !== handle) await this.store.delete(handle);
  }

  /** Ends the record under an old handle if it still has this version. @param to where requests with the old id find the session. */
  private async leave({ handle, base: { version, content } }: Place, to: string | undefined): Promise<boolean> {
    const { regenerateGrace } = this.options;
    if (to === undefined || regenerateGrace === 0) return this.store.delete(handle, version);
    const tombstone = { kind: 'retired', to, until: Date.now() + regenerateGrace, seen: content } as const;
    return (await this.store.update(handle, tombstone, version)).status === 'updated';
  }

  private get serializerName(): string {
    const { serializer } = this.options;
    return typeof serializer === 'string' ? serializer : serializer.name;
  }

  /** @param hadToWait whether other changes of the session were in line before, so that the store is not to blame. */
  private tooLate(hadToWait: boolean): Error {
    const { storeTimeout } = this.options;
    if (!hadToWait) return new SessionStoreTimeoutError('update a session', storeTimeout);
    return new SessionConflictError(`other changes of it took all of the ${storeTimeout} ms that this one had (option 'storeTimeout')`);
  }
}

/** Where a session is stored that has its own record. */
function placeOf({ handle, base }: SessionState): Place {
  return { handle, base: base! };
}

function hasNewId(): SessionConflictError {
  return new SessionConflictError('it has a new id by now, and a request with the old one can only finish what it was at');
}

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
