import { SessionConflictError, SessionStoreError, SessionStoreTimeoutError, SessionTooLargeError } from '../errors/session.errors.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import type { SessionContent } from '../serialization/stored-record.codec.js';
import { Backoff } from './backoff.js';
import { withDeadline } from './deadline.js';
import { applyChanges, FieldKind, type FieldChanges, type SerializedFields } from './field-changes.js';
import type { SessionRetirement } from './session-retirement.js';
import type { Base, SessionState } from './session-state.js';
import { isRetired, isSession, type Stored, type StoredSessions, type StoredUpdate } from './stored-sessions.js';
import { WriteTurns } from './write-turns.js';

const PRINCIPAL = `${FieldKind.attribute}principal`;

/** What a turn leaves to the next one of the same session. */
interface Latest {
  readonly handle: string;
  readonly base: Base;
}

/**
 * Writes changes against the version they are based on, and where another request was first, on top of what it wrote. In one
 * process the requests of a session take turns and hand on what they wrote, so conflicts come from other processes only.
 */
export class SessionWriter {
  private readonly turns = new WriteTurns<Latest>();

  constructor(
    private readonly stored: StoredSessions,
    private readonly options: ResolvedSessionOptions,
    private readonly retirement: SessionRetirement,
  ) {}

  /**
   * Stores the changes of a request. A session that is gone stays gone: the state is dead then.
   *
   * @throws SessionConflictError when `concurrency` is `'reject'`, or others were faster for all of `storeTimeout`.
   */
  async write(state: SessionState, base: Base, changes: FieldChanges): Promise<void> {
    const { concurrency } = this.options;
    await this.turn(state, async (predecessor, backoff) => {
      let latest: Latest = { handle: state.handle!, base };
      if (predecessor !== undefined && concurrency !== 'reject') latest = predecessor;
      for (;;) {
        if (!mayWrite(state, base, latest)) return bury(state);
        const fields = concurrency === 'overwrite' ? state.fields.serialized() : applyChanges(latest.base.content.fields, changes);
        const content = this.contentFor(state, fields, Date.now());
        const result = await this.stored.update(latest.handle, content, latest.base.version);
        if (result.status === 'updated') return written(state, latest.handle, { version: result.version, content }, changes);
        if (result.status === 'gone') return bury(state);
        if (concurrency === 'reject') throw new SessionConflictError(`the option 'concurrency' is 'reject'`);
        await backoff.wait();
        const current = await this.current(latest.handle);
        if (current === undefined) return bury(state);
        latest = current;
      }
    });
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
      let latest: Latest | undefined = predecessor ?? { handle: state.handle!, base: state.base! };
      while (latest !== undefined) {
        const { handle, base }: Latest = latest;
        const working = open(handle, base);
        const value = await change(working);
        const changes = working.fields.changes();
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
   * Gives a session another handle: the new record first, then the end of the old one.
   *
   * @returns what is stored under the new handle; undefined when the session was destroyed meanwhile.
   */
  async move(state: SessionState, base: Base, changes: FieldChanges, to: string, forward: boolean): Promise<Base | undefined> {
    let moved: Base | undefined;
    await this.turn(state, async (_predecessor, backoff) => {
      let source: Latest = { handle: state.handle!, base };
      let content = this.contentFor(state, applyChanges(base.content.fields, changes), Date.now());
      let version = await this.stored.create(to, content);
      if (version === undefined) throw new SessionStoreError('move a session', new Error('its new id is taken'));
      while (version !== undefined) {
        const result = await this.retirement.retire(source.handle, source.base.version, forward ? to : undefined);
        if (result.status === 'updated') {
          moved = { version, content };
          return undefined;
        }
        // Another request changed the old record first: its changes move along.
        const current = result.status === 'conflict' ? await this.current(source.handle) : undefined;
        if (current === undefined) break;
        source = current;
        await backoff.wait();
        content = this.contentFor(state, applyChanges(current.base.content.fields, changes), Date.now());
        const update = await this.stored.update(to, content, version);
        version = update.status === 'updated' ? update.version : undefined;
      }
      await this.stored.delete(to);
      return undefined;
    });
    return moved;
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
    for (let next: string | undefined = handle, hops = 0; next !== undefined && hops < 8; hops++) {
      const found: Stored | undefined = await this.stored.read(next);
      if (isSession(found)) return { handle: next, base: found };
      next = isRetired(found) ? found.content.to : undefined;
    }
    return undefined;
  }

  /** A turn of the session, over within `storeTimeout` for the caller, waiting included. */
  private turn(
    state: SessionState,
    work: (predecessor: Latest | undefined, backoff: Backoff) => Promise<Latest | undefined>,
  ): Promise<void> {
    const { storeTimeout } = this.options;
    const backoff = new Backoff(storeTimeout);
    const late = (): Error => new SessionStoreTimeoutError('update a session', storeTimeout);
    const turn = this.turns.take(state.handle!, async (predecessor) => {
      // Its request was answered long ago: what it wanted to write must not appear now.
      if (backoff.isOver) throw late();
      return work(predecessor, backoff);
    });
    return withDeadline(turn, storeTimeout, late);
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
  if (!state.follower && latest.handle === state.handle) return true;
  const before = base.content.fields.get(PRINCIPAL);
  const now = latest.base.content.fields.get(PRINCIPAL);
  return before === now || (before !== undefined && now !== undefined && before.equals(now));
}

function written(state: SessionState, handle: string, base: Base, changes: FieldChanges): Latest {
  if (handle !== state.handle) {
    state.follower = true;
    state.cookie = 'none';
    state.handle = handle;
  }
  state.base = base;
  state.fields.rebase(base.content.fields, changes);
  return { handle, base };
}

function bury(state: SessionState): undefined {
  state.dead = true;
  state.cookie = 'none';
  return undefined;
}
