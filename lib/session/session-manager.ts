import { Inject, Injectable, Optional } from '@nestjs/common';
import { SessionLogger } from '../common/session-logger.js';
import {
  NullSessionError,
  PrincipalChangeError,
  SessionConflictError,
  SessionHeadersSentError,
  SessionStoreError,
  SessionUnavailableError,
} from '../errors.js';
import { reasonOf } from '../common/redact.js';
import { OutageLog } from '../common/outage-log.js';
import { RepeatedWarning } from '../common/repeated-warning.js';
import { RESOLVED_OPTIONS, type ResolvedSessionOptions } from '../options/resolved-options.js';
import { applyChanges, Attribute, type FieldChanges, type RetiredContent, type SessionContent } from '../storage/record.codec.js';
import { SerializerRegistry } from '../storage/serializers.js';
import { type Base, isRetired, isSession, type Place, SessionStore, type StoredSession } from '../storage/session-store.js';
import { SessionTelemetry } from '../telemetry/session-telemetry.js';
import { SessionEvents, type SessionEventType } from '../storage/session-events.js';
import { SessionFields } from './session-fields.js';
import { SessionIds } from './session-id.js';
import { type ReadOnlyReason, SessionState } from './session-state.js';
import { SessionWriter } from './session-writer.js';
import { TouchSchedule } from './touch-schedule.js';

/** The token of the limit; nothing is provided where the options set none. */
export const SESSION_LIMIT = Symbol('ServerSession.limit');

/** How many sessions a principal may have. */
export interface SessionLimit {
  /** Before a session gets a principal. @throws where it must not. */
  admit(principal: string): Promise<void>;
  /** After the session is stored. @param handle of the session that got the principal. */
  enforce(principal: string, handle: string): Promise<void>;
}

/** What an id led to. */
interface Found {
  readonly id: string;
  readonly handle: string;
  readonly stored: StoredSession<SessionContent>;
  /** The lifetime that a touch gave it; undefined where it was not touched. */
  readonly touch?: number | undefined;
  /** The id is an old one: the session has another one by now. */
  readonly isMoved?: boolean;
}

const BEGUN_TOO_LATE =
  'a session began after the response had: its cookie could not be sent. Write to the session, or call ' +
  'session.save(), before the first byte of a stream.';

/** Everything that can be kept when a session gets a new id. */
export type Kept = boolean | readonly string[];

/**
 * The life of a session within one request: load, let the request work with it, save. Knows nothing of HTTP: it is given ids, and
 * leaves in the state what the cookie has to say.
 */
@Injectable()
export class SessionManager {
  private readonly logger = new SessionLogger();
  private readonly damaged = new RepeatedWarning();
  private readonly touches: TouchSchedule;
  private readonly outage = new OutageLog('the session store');
  private readonly noFields = (): SessionFields => this.fieldsOf();
  private readonly onDamaged = (key: string, error: unknown): void =>
    this.damaged.warn(`the stored value of '${key}' cannot be read (${reasonOf(error)}); it counts as absent`);

  constructor(
    @Inject(RESOLVED_OPTIONS) readonly options: ResolvedSessionOptions,
    private readonly ids: SessionIds,
    private readonly store: SessionStore,
    private readonly serializers: SerializerRegistry,
    private readonly writer: SessionWriter,
    private readonly events: SessionEvents,
    private readonly telemetry: SessionTelemetry,
    @Optional() @Inject(SESSION_LIMIT) private readonly limit?: SessionLimit,
  ) {
    this.touches = new TouchSchedule(options.touchInterval, options.lifetime);
  }

  /** Whether there is anything to load for an id; without it, `blank()` is the session. */
  get keepsSessions(): boolean {
    return this.options.type !== 'null' || this.options.repository !== undefined;
  }

  /** A session that is not stored. It gets an id once it needs one. */
  blank(readOnly?: ReadOnlyReason): SessionState {
    const reason = this.keepsSessions ? readOnly : (operation: string) => new NullSessionError(operation);
    return this.newState(reason);
  }

  /**
   * The session of the first id that has one, else a blank one. One store command for each id until then, and one more where a touch is
   * due to a session that this process has not seen yet.
   *
   * @param ids well-formed ids from the request.
   * @param otherwise looks for a session where no id has one.
   * @throws SessionStoreError when the store fails, unless `onStoreError` is `'degrade'`.
   */
  load(ids: readonly string[], otherwise?: () => Promise<SessionState | undefined>): Promise<SessionState> {
    return this.telemetry.span('session.load', () => this.loadFirst(ids, otherwise), outcomeOfLoad);
  }

  /** A session as administration sees it, without extending it. */
  async view(handle: string, readOnly?: ReadOnlyReason): Promise<SessionState | undefined> {
    const found = await this.store.peek(handle);
    return isSession(found) ? this.viewOf(handle, found, readOnly) : undefined;
  }

  /** The view of a stored session. Only the client knows its id; it reads as ''. */
  viewOf(handle: string, stored: StoredSession<SessionContent>, readOnly?: ReadOnlyReason): SessionState {
    const state = this.newState(readOnly, this.store.expiryOf(stored));
    state.open('', { handle, base: stored }, this.store.lastUseOf(stored), this.fieldsOf(stored.content));
    return state;
  }

  /** Whether the cookie of a session has an expiry. */
  isPermanent({ fields }: SessionState): boolean {
    const permanent = fields.get(Attribute.permanent);
    return typeof permanent === 'boolean' ? permanent : this.options.permanent;
  }

  /** Milliseconds that a session lives since its last use. */
  lifetimeOf({ fields }: SessionState): number {
    const own = fields.get(Attribute.lifetime);
    return typeof own === 'number' ? own : this.options.lifetime;
  }

  /** Epoch milliseconds: the end of the session if it is not used again. */
  expiryOf(state: SessionState): number {
    const idle = state.viewedUntil ?? Date.now() + this.lifetimeOf(state);
    return state.deadline === undefined ? idle : Math.min(idle, state.deadline);
  }

  /**
   * Writes what the request changed; nothing where nothing changed, and no record for an empty session.
   *
   * @throws SessionStoreError, SessionConflictError, SessionTooLargeError, SessionSerializationError; then nothing is lost but what
   *   this request changed.
   */
  commit(state: SessionState): Promise<void> {
    return state.inTurn(() => this.save(state, this.unsaved(state)));
  }

  /** As `commit`, but undefined where nothing is left to write and nothing is under way. */
  commitIfDirty(state: SessionState): Promise<void> | undefined {
    if (state.isBusy) return this.commit(state);
    const unsaved = this.unsaved(state);
    return unsaved && state.inTurn(() => this.save(state, unsaved));
  }

  /**
   * Gives the session a new id. The old one is dead: requests that are in flight with it can finish, and no more.
   *
   * @throws SessionStoreError; SessionConflictError when another request was first; SessionHeadersSentError when the client cannot be told
   *   the new id any more. The session is then as it was.
   */
  regenerate(state: SessionState, keep: Kept): Promise<void> {
    return state.inTurn(async () => {
      if (state.phase === 'ended') return;
      this.assertHeadOpen(state, 'regenerate()');
      if (state.phase === 'following') throw new SessionConflictError('it has a new id already');
      const undo = keep === true ? undefined : state.dropData(keep || []);
      if (state.phase === 'new') return state.forgetId();
      try {
        const changes = state.fields.changes();
        // After a log-in or log-out, and where data were dropped, the old id leads nowhere: another client may know it.
        const forward = keep === true && !changes.has(Attribute.principal);
        await this.admitting(state, changes, () => this.move(state, changes, keep === true, forward));
      } catch (error) {
        undo?.();
        throw error;
      }
    });
  }

  /** Ends the session. What is written after it begins another one. @throws SessionStoreError; the session is then as it was. */
  destroy(state: SessionState): Promise<void> {
    return state.inTurn(async () => {
      const { phase, handle, base, otherIds } = state;
      const own = phase === 'stored' ? this.endFrom({ handle, base: base! }) : phase === 'following' ? this.endAt(handle) : undefined;
      await Promise.all([own, ...otherIds.map((id) => this.endAt(this.ids.handleOf(id)))]);
      await state.exchange.endOthers?.();
      state.startOver(phase === 'new' ? state.cookie : 'clear');
    });
  }

  /** Reads again what is stored. A session that has ended meanwhile is empty and new. @throws SessionStoreError */
  reload(state: SessionState): Promise<void> {
    return state.inTurn(async () => {
      if (state.readOnly !== undefined) return;
      // A request with an old id sees what the session was when it got its new one.
      const found = state.phase === 'new' || state.phase === 'ended' ? undefined : await this.find(state.sid);
      if (found === undefined) return state.startOver(state.phase === 'new' ? state.cookie : 'none');
      this.open(state, found);
    });
  }

  /** Counts as a use now. @throws SessionStoreError */
  touch(state: SessionState): Promise<void> {
    return state.inTurn(async () => {
      if (state.phase !== 'stored' || state.readOnly !== undefined) return;
      const lifetime = this.lifetimeOf(state);
      const found = await this.store.find(state.handle, lifetime);
      if (!isSession(found)) return state.markEnded();
      this.touches.note(state.handle, lifetime);
      if (this.isPermanent(state) && state.exchange.isHeadSent !== true) state.sendCookie(Date.now());
    });
  }

  /** Runs `change` on the latest state until its result is stored. */
  async update<T>(state: SessionState, change: (latest: SessionState) => T | Promise<T>): Promise<T> {
    await this.commit(state);
    if (state.phase === 'new') {
      // No other request knows the session yet.
      const result = await change(state);
      await this.commit(state);
      return result;
    }
    return state.inTurn(() => this.updateStored(state, change));
  }

  /** Runs `change` on the latest state of a session that is named by its handle. @returns undefined when there is none. */
  async updateByHandle<T>(handle: string, change: (latest: SessionState) => T | Promise<T>): Promise<T | undefined> {
    const state = await this.view(handle);
    if (state === undefined) return undefined;
    try {
      return await this.updateStored(state, change);
    } catch (error) {
      if (error instanceof SessionConflictError && state.phase === 'ended') return undefined;
      throw error;
    }
  }

  /** Stores a new session, even an empty one. @throws TooManySessionsError, SessionStoreError, SessionTooLargeError */
  create(state: SessionState): Promise<void> {
    return state.inTurn(() => this.save(state, state.fields.changes()));
  }

  private async loadFirst(ids: readonly string[], otherwise?: () => Promise<SessionState | undefined>): Promise<SessionState> {
    try {
      for (const [index, id] of ids.entries()) {
        const state = await this.loadOne(id);
        if (this.options.onStoreError === 'degrade') this.outage.recovered();
        if (state === undefined) continue;
        state.otherIds = ids.slice(index + 1);
        this.telemetry.count('loaded');
        return state;
      }
      return (await otherwise?.()) ?? this.blank();
    } catch (error) {
      if (!(error instanceof SessionStoreError) || this.options.onStoreError === 'fail') throw error;
      this.outage.failed(`${error.message}; serving empty, read-only sessions until it is back`);
      return this.blank((operation) => new SessionUnavailableError(operation));
    }
  }

  private async loadOne(id: string): Promise<SessionState | undefined> {
    const found = await this.find(id);
    if (found === undefined) return undefined;
    const state = this.blank();
    this.open(state, found);
    return state;
  }

  /** What an id leads to, with a touch where one is due. */
  private async find(id: string): Promise<Found | undefined> {
    const handle = this.ids.handleOf(id);
    const touch = this.touches.due(handle);
    const stored = await this.store.find(handle, touch);
    if (isSession(stored)) return this.touched({ id, handle, stored }, touch);
    return isRetired(stored) ? this.findMoved(id, handle, stored, touch !== undefined) : undefined;
  }

  /** A session that was read with a touch, or that gets one now: this process has not seen it, or another one changed its lifetime. */
  private touched(found: Found, given: number | undefined): Found | Promise<Found | undefined> {
    const { handle, stored } = found;
    const lifetime = this.store.idleLifetimeOf(stored.content);
    const isDue = given === undefined && !this.touches.knows(handle) && this.touches.isLongAgo(this.store.lastUseOf(stored), lifetime);
    if (given === undefined && !isDue) return found;
    const touched = { ...found, touch: lifetime };
    return given === lifetime ? touched : this.store.read(handle, lifetime).then((read) => read && touched);
  }

  /** The session that an id led to until a moment ago, where it has another one by now. */
  private async findMoved(
    id: string,
    handle: string,
    tombstone: StoredSession<RetiredContent>,
    isTouched: boolean,
  ): Promise<Found | undefined> {
    const { content, version } = tombstone;
    // The touch gave the tombstone a full lifetime, and it must end on time.
    if (isTouched) await this.store.update(handle, content, version);
    const place = content.to === undefined ? undefined : await this.store.follow(content.to);
    if (place === undefined || content.seen === undefined) return undefined;
    // It is still there, but what came since is not for a client that has the old id.
    return { id, handle: place.handle, stored: { version, content: content.seen }, isMoved: true };
  }

  private open(state: SessionState, { id, handle, stored, touch, isMoved }: Found): void {
    const accessedAt = Math.min(Date.now(), Math.max(this.store.lastUseOf(stored), this.touches.last(handle)));
    state.open(id, { handle, base: stored }, accessedAt, this.fieldsOf(stored.content));
    if (isMoved) return state.follow(handle);
    if (touch === undefined) return;
    // The expiry of the cookie slides along, but is not sent again where another process sent it a moment ago.
    const isLongAgo = this.touches.isLongAgo(state.cookieAt, touch);
    this.touches.note(handle, touch, isLongAgo ? 0 : Date.now() - state.cookieAt);
    if (isLongAgo && this.isPermanent(state)) state.sendCookie(Date.now());
  }

  private newState(readOnly?: ReadOnlyReason, viewedUntil?: number): SessionState {
    return new SessionState(this.ids, this.noFields, this.options.absoluteLifetime, readOnly, viewedUntil);
  }

  private fieldsOf(content?: SessionContent): SessionFields {
    return new SessionFields(this.serializers.current, this.onDamaged, content?.fields);
  }

  /** What a commit would write; undefined where there is nothing. Synchronous and cheap: only fields that were read or set are looked at. */
  private unsaved({ phase, readOnly, fields }: SessionState): FieldChanges | undefined {
    if (phase === 'ended' || readOnly !== undefined) return undefined;
    if (phase === 'new') return fields.isEmpty ? undefined : fields.changes();
    const changes = fields.changes();
    return changes.size === 0 ? undefined : changes;
  }

  private save(state: SessionState, changes: FieldChanges | undefined): Promise<void> {
    if (changes === undefined) return Promise.resolve();
    const isNew = state.phase === 'new';
    const work = isNew ? () => this.createRecord(state) : () => this.saveChanges(state, changes);
    return this.telemetry.span('session.save', work, () => (isNew ? 'created' : state.phase === 'ended' ? 'gone' : 'updated'));
  }

  private createRecord(state: SessionState): Promise<void> {
    this.noteRequest(state);
    const changes = state.fields.changes();
    return this.admitting(state, changes, async () => {
      const content = this.writer.contentOf(state, applyChanges(new Map(), changes), Date.now());
      let version = await this.store.create(state.handle, content);
      if (version === undefined) {
        state.forgetId();
        version = await this.store.create(state.handle, content);
        if (version === undefined) throw new SessionStoreError('create a session', new Error('two new ids in a row were taken'));
      }
      const base = { version, content };
      state.created(base, changes);
      this.touches.note(state.handle, this.lifetimeOf(state));
      this.telemetry.count('created');
      this.tell('created', state.handle, base);
      if (state.exchange.isHeadSent === true && state.exchange.sentId !== state.sid) this.logger.warn(BEGUN_TOO_LATE);
    });
  }

  private async saveChanges(state: SessionState, changes: FieldChanges): Promise<void> {
    if (changes.has(Attribute.principal)) await this.admitting(state, changes, () => this.changePrincipal(state, changes));
    else await this.writer.write(state, state.base!, changes);
    if (state.phase === 'ended') return;
    this.telemetry.count('saved');
    if (changes.has(Attribute.lifetime)) this.touches.note(state.handle, this.lifetimeOf(state));
    if (state.phase === 'stored' && (changes.has(Attribute.permanent) || changes.has(Attribute.lifetime))) state.sendCookie();
  }

  /** Stores changes that may give the session a principal, within the limit of sessions that one may have. */
  private async admitting(state: SessionState, changes: FieldChanges, store: () => Promise<void>): Promise<void> {
    const principal = this.limit !== undefined && changes.has(Attribute.principal) ? state.fields.get(Attribute.principal) : undefined;
    if (this.limit === undefined || typeof principal !== 'string') return store();
    await this.limit.admit(principal);
    await store();
    if (state.phase === 'stored') await this.limit.enforce(principal, state.handle);
  }

  private async changePrincipal(state: SessionState, changes: FieldChanges): Promise<void> {
    if (state.formerHandle !== undefined) {
      // A client that knows the id from before the log-in must not find the session any more, not for a second.
      await this.store.delete(state.formerHandle);
      state.leftFormerHandle();
    }
    const keepsId = state.isRegenerated || state.phase === 'following' || !this.options.regenerateOnPrincipalChange;
    if (keepsId) return this.writer.write(state, state.base!, changes);
    await this.move(state, changes, true, false);
  }

  /** A new id, unless another request was first. */
  private async move(state: SessionState, changes: FieldChanges, keep: boolean, forward: boolean): Promise<void> {
    const formerHandle = state.handle;
    const id = this.ids.generate();
    const handle = this.ids.handleOf(id);
    const base = await this.writer.move(state, { to: handle, changes, keep, forward });
    if (base === undefined) return state.markEnded();
    state.moved(id, handle, base, changes, forward ? formerHandle : undefined);
    this.touches.forget(formerHandle);
    this.touches.note(handle, this.lifetimeOf(state));
    this.tell('regenerated', handle, base, formerHandle);
  }

  private updateStored<T>(state: SessionState, change: (latest: SessionState) => T | Promise<T>): Promise<T> {
    const guarded = async (latest: SessionState): Promise<T> => {
      const value = await change(latest);
      if (latest.fields.changes().has(Attribute.principal)) throw new PrincipalChangeError();
      return value;
    };
    return this.writer.update(state, guarded, (place) => {
      const latest = this.newState(undefined, state.viewedUntil);
      latest.open(state.sid, place, state.accessedAt, this.fieldsOf(place.base.content));
      return latest;
    });
  }

  private async endAt(handle: string): Promise<void> {
    const place = await this.store.follow(handle);
    if (place !== undefined) await this.endFrom(place);
  }

  private async endFrom(place: Place): Promise<void> {
    const ended = await this.writer.end(place);
    this.touches.forget(place.handle);
    if (ended !== undefined) this.tell('destroyed', ended, place.base);
  }

  /** What the application notes of the request that a session begins with. A note that fails is not a reason to fail the request. */
  private noteRequest({ exchange, fields }: SessionState): void {
    const { meta } = this.options;
    if (meta === undefined || exchange.request === undefined || fields.has(Attribute.meta)) return;
    try {
      const noted = meta(exchange.request);
      this.serializers.current.serialize(noted);
      if (noted !== undefined) fields.set(Attribute.meta, noted);
    } catch (error) {
      this.logger.error(`the option 'meta' failed; the session begins without: ${reasonOf(error)}`);
    }
  }

  /** @throws SessionHeadersSentError where the client cannot be told another id any more. */
  private assertHeadOpen({ exchange }: SessionState, operation: string): void {
    if (exchange.isHeadSent === true) throw new SessionHeadersSentError(operation);
  }

  /** @throws SessionHeadersSentError where a change of principal needs a new id, and the client cannot be told. */
  assertPrincipalMayChange(state: SessionState): void {
    if (state.isRegenerated || !this.options.regenerateOnPrincipalChange) return;
    if (state.phase === 'new' && state.exchange.sentId === state.sid) return;
    this.assertHeadOpen(state, 'session.principal');
  }

  /** Lets the listeners know, once the store has confirmed it. */
  private tell(type: SessionEventType, handle: string, { content }: Base, previousHandle?: string): void {
    if (this.events.isObserved) this.events.emit({ type, handle, principal: this.store.principalOf(content), previousHandle });
  }
}

function outcomeOfLoad(state: SessionState): string {
  if (state.readOnly !== undefined) return 'degraded';
  return state.phase === 'new' ? 'absent' : 'found';
}
