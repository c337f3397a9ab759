import { PrincipalChangeError, SessionConflictError, SessionStoreError } from '../errors.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import type { SerializerRegistry } from '../storage/serializers.js';
import { NO_TELEMETRY, type SessionTelemetry } from '../telemetry/session-telemetry.js';
import { ContentFactory } from './content-factory.js';
import { applyChanges, Attribute, FieldKind, type FieldChanges } from '../storage/record-fields.js';
import { inTurn } from './in-turn.js';
import { SessionEvents, type SessionEventType } from './session-events.js';
import type { SessionIds } from './session-id.js';
import type { SessionLimit } from './session-limit.js';
import { SessionLoader } from './session-loader.js';
import { SessionMeta } from './session-meta.js';
import { SessionRetirement } from './session-retirement.js';
import type { Base, SessionState } from './session-state.js';
import { type Move, SessionWriter } from './session-writer.js';
import { hasSamePrincipal, type SessionStore } from '../storage/session-store.js';
import { assertOwned, bury } from './write-outcome.js';

/**
 * The life of a session within one request: load → (the request works with it) → commit. Knows nothing of HTTP: it is given
 * ids, and leaves in the state what the cookie has to say.
 */
export class SessionLifecycle {
  /** How sessions come out of the store. */
  readonly loader: SessionLoader;
  private readonly meta: SessionMeta;
  private readonly contents: ContentFactory;
  private readonly writer: SessionWriter;
  private readonly retirement: SessionRetirement;

  constructor(
    private readonly options: ResolvedSessionOptions,
    private readonly ids: SessionIds,
    private readonly stored: SessionStore,
    serializers: SerializerRegistry,
    private readonly events = new SessionEvents(),
    private readonly telemetry: SessionTelemetry = NO_TELEMETRY,
    private readonly limit?: SessionLimit,
  ) {
    this.loader = new SessionLoader(options, ids, stored, serializers, telemetry);
    this.meta = new SessionMeta(options.meta, serializers.current);
    this.contents = new ContentFactory(options);
    this.retirement = new SessionRetirement(stored, options);
    this.writer = new SessionWriter(stored, this.contents, options, this.retirement);
  }

  /** Whether a session notes something of the request that it begins with. */
  get notesRequests(): boolean {
    return this.meta.isWanted;
  }

  /** Whether nothing is left to write. Synchronous and cheap: only fields that were read or set are looked at. */
  isSettled(state: SessionState): boolean {
    return this.unsaved(state) === undefined;
  }

  /**
   * Writes what the request changed; nothing where nothing changed, and no record for an empty session.
   *
   * @throws SessionStoreError, SessionConflictError, SessionTooLargeError, SessionSerializationError; then nothing is lost
   *   but what this request changed.
   */
  commit(state: SessionState): Promise<void> {
    return inTurn(state, () => this.save(state, this.unsaved(state)));
  }

  /** As `commit`, but undefined where nothing is left to write and nothing is under way. */
  settle(state: SessionState): Promise<void> | undefined {
    if (state.busy !== undefined) return this.commit(state);
    const unsaved = this.unsaved(state);
    return unsaved && inTurn(state, () => this.save(state, unsaved));
  }

  /** What a commit would write; undefined where there is nothing. */
  private unsaved({ dead, readOnly, base, fields }: SessionState): FieldChanges | undefined {
    if (dead || readOnly !== undefined || (base === undefined && fields.isEmpty)) return undefined;
    const changes = fields.changes();
    return base !== undefined && changes.size === 0 ? undefined : changes;
  }

  private save(state: SessionState, changes: FieldChanges | undefined): Promise<void> {
    if (changes === undefined) return Promise.resolve();
    const { base } = state;
    const work = base === undefined ? () => this.create(state) : () => this.saveChanges(state, base, changes);
    const outcome = (): string => (base === undefined ? 'created' : state.dead ? 'gone' : 'updated');
    return this.telemetry.span('session.save', work, outcome);
  }

  /**
   * @throws SessionStoreError; the session is then as it was. SessionConflictError when another request was first, and the
   *   session belongs to nobody yet.
   */
  regenerate(state: SessionState, keep: boolean): Promise<void> {
    return inTurn(state, async () => {
      if (state.dead) return;
      if (!keep) this.dropFields(state);
      if (state.base === undefined) {
        state.sid = undefined;
        state.handle = undefined;
        state.regenerated = true;
        return;
      }
      const { base } = state;
      const changes = state.fields.changes();
      // Where somebody logged in or out, the old id leads nowhere: it may be known to others.
      await this.admitting(state, changes, () => this.move(state, base, changes, { keep, forward: !changes.has(Attribute.principal) }));
    });
  }

  /** @throws SessionStoreError; the session is then as it was. */
  destroy(state: SessionState): Promise<void> {
    return inTurn(state, async () => {
      const { handle, base, busy, request, headSent } = state;
      if (base !== undefined && handle !== undefined) {
        const ended = await this.retirement.end(handle, base.version);
        if (ended !== undefined) this.tell('destroyed', ended, base);
      }
      Object.assign(state, this.loader.blank(), { cookie: base === undefined ? 'none' : 'clear', busy, request, headSent });
    });
  }

  /** @throws SessionStoreError when the store fails. */
  reload(state: SessionState): Promise<void> {
    return inTurn(state, async () => {
      if (state.readOnly !== undefined) return;
      if (state.base === undefined || state.handle === undefined) {
        state.fields = this.loader.fieldsOf();
        return;
      }
      const current = await this.stored.follow(state.handle);
      if (current === undefined) return bury(state);
      if (current.handle !== state.handle) Object.assign(state, { follower: true, cookie: 'none' });
      // As in a write: who came through an old id does not get to see whose session it has become.
      if (state.follower && !hasSamePrincipal(state.base.content, current.base.content)) return bury(state);
      this.loader.adopt(state, current.handle, current.base);
    });
  }

  /** Runs `change` on the latest state until its result is stored. */
  async updateAtomically<T>(state: SessionState, change: (latest: SessionState) => T | Promise<T>): Promise<T> {
    await this.commit(state);
    if (state.base === undefined) {
      // Nobody else knows the session yet.
      const result = await change(state);
      await this.commit(state);
      return result;
    }
    return inTurn(state, () => this.updateStored(state, change));
  }

  /** Runs `change` on the latest state of a session that is named by its handle. @returns undefined when there is none. */
  async updateByHandle<T>(handle: string, change: (latest: SessionState) => T | Promise<T>): Promise<T | undefined> {
    const state = await this.loader.view(handle);
    if (state === undefined) return undefined;
    try {
      return await this.updateStored(state, change);
    } catch (error) {
      if (error instanceof SessionConflictError && state.dead) return undefined;
      throw error;
    }
  }

  /** The id, made when somebody first asks. */
  idOf(state: SessionState): string {
    return (state.sid ??= this.ids.generate());
  }

  handleOf(state: SessionState): string {
    return (state.handle ??= this.ids.handleOf(this.idOf(state)));
  }

  /** Epoch milliseconds: the end of the session if it is not used again. */
  expiryOf(state: SessionState): number {
    const idle = state.expiry ?? Date.now() + this.options.lifetime;
    return state.deadline === undefined ? idle : Math.min(idle, state.deadline);
  }

  private create(state: SessionState): Promise<void> {
    this.meta.note(state);
    const changes = state.fields.changes();
    return this.admitting(state, changes, () => this.createRecord(state, changes));
  }

  private async createRecord(state: SessionState, changes: FieldChanges): Promise<void> {
    const now = Date.now();
    state.cookieAt = now;
    const content = this.contents.contentOf(state, applyChanges(new Map(), changes), now);
    let version = await this.stored.create(this.handleOf(state), content);
    if (version === undefined) {
      state.sid = undefined;
      state.handle = undefined;
      version = await this.stored.create(this.handleOf(state), content);
      if (version === undefined) throw new SessionStoreError('create a session', new Error('two new ids in a row were taken'));
    }
    const base = { version, content };
    this.noteStored(state, base, changes);
    state.cookie = 'set';
    this.telemetry.count('created');
    this.tell('created', this.handleOf(state), base);
  }

  private async saveChanges(state: SessionState, base: Base, changes: FieldChanges): Promise<void> {
    if (changes.has(Attribute.permanent)) state.cookie = 'set';
    if (changes.has(Attribute.principal)) await this.admitting(state, changes, () => this.changePrincipal(state, changes));
    else await this.writer.write(state, base, changes);
    if (!state.dead) this.telemetry.count('saved');
  }

  /** Stores changes that may give the session a principal, within the limit of sessions that one may have. */
  private async admitting(state: SessionState, changes: FieldChanges, store: () => Promise<void>): Promise<void> {
    const principal = this.limit !== undefined && changes.has(Attribute.principal) ? state.fields.get(Attribute.principal) : undefined;
    if (this.limit === undefined || typeof principal !== 'string') return store();
    await this.limit.admit(principal);
    await store();
    if (!state.dead) await this.limit.enforce(principal, this.handleOf(state));
  }

  private async changePrincipal(state: SessionState, changes: FieldChanges): Promise<void> {
    const base = state.base!;
    if (state.forwardedFrom !== undefined) {
      // Whoever knew the id from before the log-in must not find the session any more, not for a second.
      await this.stored.delete(state.forwardedFrom);
      state.forwardedFrom = undefined;
    }
    if (state.regenerated || !this.options.regenerateOnPrincipalChange) return this.writer.write(state, base, changes);
    await this.move(state, base, changes, { keep: true, forward: false });
  }

  /** A new id, unless another request was first. */
  private async move(
    state: SessionState,
    base: Base,
    changes: FieldChanges,
    { keep, forward }: Pick<Move, 'keep' | 'forward'>,
  ): Promise<void> {
    const { follower } = state;
    // The session has its new id already, and the response of the request that gave it carries the cookie. To hand out
    // another one here would make the old id a way in for good.
    if (follower && keep && forward) return assertOwned(base);
    const oldHandle = this.handleOf(state);
    const id = this.ids.generate();
    const handle = this.ids.handleOf(id);
    state.cookieAt = Date.now();
    const result = await this.writer.move(state, base, { to: handle, changes, keep, forward: forward && !follower });
    if (result.status === 'overtaken') return;
    if (result.status === 'gone') return bury(state);
    state.sid = id;
    state.handle = handle;
    state.follower = false;
    state.forwardedFrom = forward ? oldHandle : undefined;
    state.regenerated = true;
    this.noteStored(state, result.base, changes);
    state.cookie = 'set';
    this.tell('regenerated', handle, result.base, oldHandle);
  }

  private noteStored(state: SessionState, base: Base, changes: FieldChanges): void {
    state.base = base;
    state.fields.rebase(base.content.fields, changes);
    this.loader.touches.note(this.handleOf(state), state.cookieAt);
  }

  /** Lets the listeners know, once the store has confirmed it. */
  private tell(type: SessionEventType, handle: string, { content }: Base, previousHandle?: string): void {
    if (this.events.isObserved) this.events.emit({ type, handle, principal: this.stored.principalOf(content), previousHandle });
  }

  private updateStored<T>(state: SessionState, change: (latest: SessionState) => T | Promise<T>): Promise<T> {
    const guarded = async (latest: SessionState): Promise<T> => {
      const value = await change(latest);
      if (latest.fields.changes().has(Attribute.principal)) throw new PrincipalChangeError();
      return value;
    };
    const { sid, expiry } = state;
    return this.writer.updateAtomically(state, guarded, (handle, stored) => ({ ...this.loader.stateFrom(handle, stored), sid, expiry }));
  }

  private dropFields(state: SessionState): void {
    for (const kind of [FieldKind.data, FieldKind.flash]) {
      for (const key of Array.from(state.fields.keys(kind))) state.fields.delete(key);
    }
    state.fields.delete(Attribute.principal);
  }
}
