import { SessionConflictError, SessionStoreError } from '../errors.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import type { SessionContent } from '../storage/record.codec.js';
import { Backoff } from '../common/backoff.js';
import type { ContentFactory } from './content-factory.js';
import { withTimeout } from '../common/with-timeout.js';
import { applyChanges, type FieldChanges } from '../storage/record-fields.js';
import { GroupWriter, type PendingWrite } from './group-writer.js';
import type { SessionRetirement } from './session-retirement.js';
import type { Base, SessionState } from './session-state.js';
import type { StoredSession, SessionStore, StoredUpdate } from '../storage/session-store.js';
import { assertOwned, bury, type Latest, mayWrite, tooLate, written } from './write-outcome.js';
import { WriteTurns } from './write-turns.js';

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
  private readonly turns = new WriteTurns<Latest, PendingWrite>();
  private readonly groups: GroupWriter;

  constructor(
    private readonly stored: SessionStore,
    private readonly contents: ContentFactory,
    private readonly options: ResolvedSessionOptions,
    private readonly retirement: SessionRetirement,
  ) {
    this.groups = new GroupWriter(this.turns, stored, contents, options);
  }

  /** Stores the changes of a request: see `GroupWriter`. */
  write(state: SessionState, base: Base, changes: FieldChanges): Promise<void> {
    return this.groups.write(state, base, changes);
  }

  /**
   * Runs `change` on the latest state and stores the result, again and again until nobody was faster.
   *
   * @throws SessionConflictError when the session is gone, or others were faster for all of `storeTimeout`.
   */
  async updateAtomically<T>(
    state: SessionState,
    change: (latest: SessionState) => T | Promise<T>,
    open: (handle: string, stored: StoredSession<SessionContent>) => SessionState,
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
        if (backoff.isOver) throw tooLate(this.options.storeTimeout);
        const content = this.contents.contentOf(working, applyChanges(base.content.fields, changes), Date.now());
        const result: StoredUpdate =
          changes.size === 0 ? { status: 'updated', version: base.version } : await this.stored.update(handle, content, base.version);
        if (result.status === 'updated') {
          outcome = { value };
          return written(state, { handle, base: { version: result.version, content } }, new Map());
        }
        if (result.status === 'gone') break;
        await backoff.wait();
        latest = await this.stored.follow(handle);
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
        this.contents.contentOf(state, keep ? applyChanges(fields, changes) : state.fields.serialized(), Date.now());
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
          const current = result.status === 'conflict' ? await this.stored.follow(source.handle) : undefined;
          if (current === undefined || !mayWrite(state, base, current)) return undefined;
          if (current.handle !== state.handle && keep && forward) {
            assertOwned(current.base);
            outcome = { status: 'overtaken' };
            return written(state, current, new Map());
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

  /** A turn of the session, over within `storeTimeout` for the caller, waiting included. */
  private turn(
    state: SessionState,
    work: (predecessor: Latest | undefined, backoff: Backoff) => Promise<Latest | undefined>,
  ): Promise<void> {
    const { storeTimeout } = this.options;
    const backoff = new Backoff(storeTimeout);
    const turn = this.turns.take(state.handle!, async (predecessor) => {
      // Its request was answered long ago: what it wanted to write must not appear now.
      if (backoff.isOver) throw tooLate(this.options.storeTimeout);
      return work(predecessor, backoff);
    });
    return withTimeout(turn, storeTimeout, () => tooLate(this.options.storeTimeout));
  }
}
