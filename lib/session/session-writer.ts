import { SessionConflictError, SessionStoreError, SessionStoreTimeoutError, SessionTooLargeError } from '../errors/session.errors.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import type { SessionContent } from '../serialization/stored-record.codec.js';
import { Backoff } from './backoff.js';
import { withDeadline } from './deadline.js';
import { Attribute, applyChanges, type FieldChanges, type SerializedFields } from './field-changes.js';
import type { SessionRetirement } from './session-retirement.js';
import type { Base, SessionState } from './session-state.js';
import { hasSamePrincipal, type Stored, type StoredSessions, type StoredUpdate } from './stored-sessions.js';
import { WriteTurns } from './write-turns.js';

/** What a turn leaves to the next one of the same session. */
interface Latest {
  readonly handle: string;
  readonly base: Base;
}

/** What one request has to write. */
interface PendingWrite {
  readonly state: SessionState;
  /** What the request loaded. */
  readonly base: Base;
  readonly changes: FieldChanges;
  /** How long its request may wait. */
  readonly backoff: Backoff;
  /** Why it could not be written, where others of its group were. */
  error?: Error;
}

/** Writes of one session that go to the store as one, in the order in which they came. */
interface WriteGroup {
  readonly writes: PendingWrite[];
  readonly done: Promise<void>;
}

/** How a session gets another handle. */
export interface Move {
  readonly to: string;
  readonly changes: FieldChanges;
  /** Whether what others stored meanwhile is kept; without it only the fields of the request itself move. */
  readonly keep: boolean;
  /** Whether the old handle leads to the new one for the grace. */
  readonly forward: boolean;
}

/**
 * The end of a move:
 * - `moved`: stored under the new handle, and the old one is no way in any more.
 * - `overtaken`: another request gave the session a new handle first, and this one follows it.
 * - `gone`: the session was destroyed meanwhile, or belongs to somebody else by now.
 */
export type MoveResult = { readonly status: 'moved'; readonly base: Base } | { readonly status: 'overtaken' } | { readonly status: 'gone' };

/**
 * Writes changes against the version they are based on, and where another request was first, on top of what it wrote. In one
 * process the requests of a session take turns and hand on what they wrote, so conflicts come from other processes only.
 */
export class SessionWriter {
  private readonly turns = new WriteTurns<Latest>();
  /** By handle, the writes that wait for a turn and that others may join: however many there are, they cost one update. */
  private readonly waiting = new Map<string, WriteGroup>();

  constructor(
    private readonly stored: StoredSessions,
    private readonly options: ResolvedSessionOptions,
    private readonly retirement: SessionRetirement,
  ) {}

  /**
   * Stores the changes of a request, together with those of others that wait for the same turn. A session that is gone stays gone:
   * the state is dead then.
   *
   * @throws SessionConflictError when `concurrency` is `'reject'`, or others were faster for all of `storeTimeout`.
   */
  write(state: SessionState, base: Base, changes: FieldChanges): Promise<void> {
    const { storeTimeout } = this.options;
    const write: PendingWrite = { state, base, changes, backoff: new Backoff(storeTimeout) };
    return withDeadline(this.storeInGroup(write), storeTimeout, () => this.late());
  }

  private async storeInGroup(write: PendingWrite): Promise<void> {
    const handle = write.state.handle!;
    const group = this.mayShare(write) ? this.waiting.get(handle) : undefined;
    if (group === undefined) {
      await this.lead(handle, write);
    } else {
      group.writes.push(write);
      await group.done;
    }
    if (write.error !== undefined) throw write.error;
  }

  /** A write with a turn of its own. If it has to wait for it, others may join. */
  private lead(handle: string, write: PendingWrite): Promise<void> {
    const writes = [write];
    const waits = this.turns.isTaken(handle);
    const done = this.turns.take(handle, (predecessor) => {
      if (this.waiting.get(handle)?.writes === writes) this.waiting.delete(handle);
      return this.storeGroup(writes, predecessor);
    });
    if (waits && this.mayShare(write)) this.waiting.set(handle, { writes, done });
    else this.waiting.delete(handle);
    return done;
  }

  /** Who is told of a conflict has to have one; and whose session it is decides who may write after that. */
  private mayShare({ changes }: PendingWrite): boolean {
    return this.options.concurrency !== 'reject' && !changes.has(Attribute.principal);
  }

  private async storeGroup(group: readonly PendingWrite[], predecessor: Latest | undefined): Promise<Latest | undefined> {
    const { concurrency } = this.options;
    const { state, base } = group.at(-1)!;
    let latest: Latest = { handle: state.handle!, base };
    if (predecessor !== undefined && concurrency !== 'reject') latest = predecessor;
    let writes = group;
    for (;;) {
      const merged = this.merge(writes, latest);
      writes = merged.writes;
      const last = writes.at(-1);
      if (last === undefined) return undefined;
      const content = this.contentFor(last.state, merged.fields, Date.now());
      const result = await this.stored.update(latest.handle, content, latest.base.version);
      if (result.status === 'updated') return groupWritten(writes, latest.handle, { version: result.version, content });
      if (result.status === 'gone') return buryAll(writes);
      if (concurrency === 'reject') throw new SessionConflictError(`the option 'concurrency' is 'reject'`);
      await last.backoff.wait();
      const current = await this.current(latest.handle);
      if (current === undefined) return buryAll(writes);
      latest = current;
    }
  }

  /** The changes of writes on top of the latest state, one after the other. Those that cannot be part of it are told so. */
  private merge(writes: readonly PendingWrite[], latest: Latest): { writes: readonly PendingWrite[]; fields: SerializedFields } {
    const accepted: PendingWrite[] = [];
    let { fields } = latest.base.content;
    for (const write of writes) {
      const { state, base, changes } = write;
      try {
        // Its request was answered long ago: what it wanted to write must not appear now.
        if (write.backoff.isOver) throw this.late();
        if (!mayWrite(state, base, latest)) {
          bury(state);
          continue;
        }
        const next = this.options.concurrency === 'overwrite' ? state.fields.serialized() : applyChanges(fields, changes);
        this.assertSize(next);
        fields = next;
        accepted.push(write);
      } catch (error) {
        write.error = error as Error;
      }
    }
    return { writes: accepted, fields };
  }

  /**
   * Runs `change` on the latest state and stores the result, again and again until nobody was faster.
   *
   * @throws SessionConflictError when the session is gone, or others were faster for all of `storeTimeout`.
   */
  async updateAtomically<T>(
    state: SessionState,
    change: (latest: SessionState) => T | Promise<T>,
    open: (handle: string, stored: Stored<SessionContent>) => SessionState,
  ): Promise<T> {
    let outcome: { value: T } | undefined;
    await this.turn(state, async (predecessor, backoff) => {
      const loaded = state.base!;
      let latest: Latest | undefined = predecessor ?? { handle: state.handle!, base: loaded };
      while (latest !== undefined && mayWrite(state, loaded, latest)) {
        const { handle, base }: Latest = latest;
        const working = open(handle, base);
        const value = await change(working);
        const changes = working.fields.changes();
        // The change itself may have been slow; its request has its answer by now.
        if (backoff.isOver) throw this.late();
        const content = this.contentFor(working, applyChanges(base.content.fields, changes), Date.now());
        const result: StoredUpdate =
          changes.size === 0 ? { status: 'updated', version: base.version } : await this.stored.update(handle, content, base.version);
        if (result.status === 'updated') {
          outcome = { value };
          return written(state, handle, { version: result.version, content }, new Map());
        }
        if (result.status === 'gone') break;
        await backoff.wait();
        latest = await this.current(handle);
      }
      return bury(state);
    });
    if (outcome === undefined) throw new SessionConflictError('it was destroyed meanwhile');
    return outcome.value;
  }

  /**
   * Gives a session another handle: the new record first, then the end of the old one, so that a crash in between loses nothing.
   *
   * @throws SessionConflictError when another request did so first and the session belongs to nobody yet: this request may
   *   be a log-in, and must not happen in a session whose new id somebody else has.
   */
  async move(state: SessionState, base: Base, { to, changes, keep, forward }: Move): Promise<MoveResult> {
    let outcome: MoveResult = { status: 'gone' };
    await this.turn(state, async (_predecessor, backoff) => {
      let source: Latest = { handle: state.handle!, base };
      const contentOver = ({ content: { fields } }: Base): SessionContent =>
        this.contentFor(state, keep ? applyChanges(fields, changes) : state.fields.serialized(), Date.now());
      let content = contentOver(base);
      let version = await this.stored.create(to, content);
      if (version === undefined) throw new SessionStoreError('move a session', new Error('its new id is taken'));
      try {
        while (version !== undefined) {
          const leadsOn = forward && source.handle === state.handle;
          const result = await this.retirement.retire(source.handle, source.base.version, leadsOn ? to : undefined);
          if (result.status === 'updated') {
            outcome = { status: 'moved', base: { version, content } };
            return undefined;
          }
          const current = result.status === 'conflict' ? await this.current(source.handle) : undefined;
          if (current === undefined || !mayWrite(state, base, current)) return undefined;
          if (current.handle !== state.handle && keep && forward) {
            assertOwned(current.base);
            outcome = { status: 'overtaken' };
            return written(state, current.handle, current.base, new Map());
          }
          // Another request changed the old record first: its changes move along.
          source = current;
          await backoff.wait();
          content = contentOver(current.base);
          const update = await this.stored.update(to, content, version);
          version = update.status === 'updated' ? update.version : undefined;
        }
        return undefined;
      } finally {
        // Nobody knows the new id: what is left of it only takes room.
        if (outcome.status !== 'moved') await this.stored.delete(to).catch(() => false);
      }
    });
    return outcome;
  }

  /**
   * The content to store for a request.
   *
   * @throws SessionTooLargeError when its data exceed `maxBytes`.
   */
  contentFor(state: SessionState, fields: SerializedFields, now: number): SessionContent {
    this.assertSize(fields);
    const serializer = state.base?.content.serializer ?? this.serializerName;
    const { createdAt, cookieAt, deadline } = state;
    return { kind: 'session', createdAt, accessedAt: now, cookieAt, deadline, serializer, fields };
  }

  private get serializerName(): string {
    const { serializer } = this.options;
    return typeof serializer === 'string' ? serializer : serializer.name;
  }

  /** What a handle leads to by now. */
  private async current(handle: string): Promise<Latest | undefined> {
    const found = await this.stored.follow(handle);
    return found && { handle: found.handle, base: found.stored };
  }

  /** A turn of the session, over within `storeTimeout` for the caller, waiting included. */
  private turn(
    state: SessionState,
    work: (predecessor: Latest | undefined, backoff: Backoff) => Promise<Latest | undefined>,
  ): Promise<void> {
    const { storeTimeout } = this.options;
    const backoff = new Backoff(storeTimeout);
    // What comes after this must not be stored before it.
    this.waiting.delete(state.handle!);
    const turn = this.turns.take(state.handle!, async (predecessor) => {
      // Its request was answered long ago: what it wanted to write must not appear now.
      if (backoff.isOver) throw this.late();
      return work(predecessor, backoff);
    });
    return withDeadline(turn, storeTimeout, () => this.late());
  }

  private late(): SessionStoreTimeoutError {
    return new SessionStoreTimeoutError('update a session', this.options.storeTimeout);
  }

  private assertSize(fields: SerializedFields): void {
    const { maxBytes } = this.options;
    let bytes = 0;
    for (const value of fields.values()) bytes += value.length;
    if (bytes <= maxBytes) return;
    const largest = Array.from(fields, ([key, value]) => ({ key: key.slice(1), bytes: value.length }))
      .sort((a, b) => b.bytes - a.bytes)
      .slice(0, 3);
    throw new SessionTooLargeError(bytes, maxBytes, largest);
  }
}

/**
 * Whoever came through an old id may write only as long as the session belongs to whom it belonged then: somebody may have
 * logged in since, and the old id may be an attacker's.
 */
function mayWrite(state: SessionState, base: Base, latest: Latest): boolean {
  return (!state.follower && latest.handle === state.handle) || hasSamePrincipal(base.content, latest.base.content);
}

/**
 * A session that belongs to somebody may follow a regeneration of another request; its holder only renews the id. One that
 * belongs to nobody may be about to be logged in to.
 *
 * @throws SessionConflictError
 */
export function assertOwned({ content: { fields } }: Base): void {
  if (!fields.has(Attribute.principal)) throw new SessionConflictError('it has a new id already, and may be about to be logged in to');
}

function groupWritten(writes: readonly PendingWrite[], handle: string, base: Base): Latest {
  for (const { state, changes } of writes) written(state, handle, base, changes, writes.length > 1);
  return { handle, base };
}

/** @param isShared whether others wrote along, perhaps over a key that this state has just written itself. */
function written(state: SessionState, handle: string, base: Base, changes: FieldChanges, isShared = false): Latest {
  if (handle !== state.handle) {
    state.follower = true;
    state.regenerated = false;
    state.cookie = 'none';
    state.handle = handle;
  }
  state.base = base;
  const { fields } = base.content;
  state.fields.rebase(isShared ? applyChanges(fields, changes) : fields, changes);
  return { handle, base };
}

function buryAll(writes: readonly PendingWrite[]): undefined {
  for (const { state } of writes) bury(state);
}

function bury(state: SessionState): undefined {
  state.dead = true;
  state.cookie = 'none';
  return undefined;
}
