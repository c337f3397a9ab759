import { Logger } from '@nestjs/common';
import { NullSessionError, SessionStoreError, SessionUnavailableError } from '../errors.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import type { SerializerRegistry } from '../storage/serializers.js';
import type { SessionContent } from '../storage/record.codec.js';
import { NO_TELEMETRY, type SessionTelemetry } from '../telemetry/session-telemetry.js';
import { Attribute } from '../storage/record-fields.js';
import { SessionFields } from './session-fields.js';
import type { SessionIds } from './session-id.js';
import type { ReadOnlyReason, SessionState } from './session-state.js';
import { isRetired, isSession, type StoredSession, type SessionStore } from '../storage/session-store.js';
import { TouchSchedule } from './touch-schedule.js';

/** The first half of the life of a session in a request: from the ids that the request brings to the state it works with. */
export class SessionLoader {
  readonly touches: TouchSchedule;
  private readonly logger = new Logger('ServerSession');
  /** The store failed a moment ago, and `onStoreError` is `'degrade'`. */
  private isDegraded = false;

  constructor(
    private readonly options: ResolvedSessionOptions,
    private readonly ids: SessionIds,
    private readonly stored: SessionStore,
    private readonly serializers: SerializerRegistry,
    private readonly telemetry: SessionTelemetry = NO_TELEMETRY,
  ) {
    this.touches = new TouchSchedule(options.touchInterval);
  }

  /** Whether there is anything to load for these ids; without any, `blank()` is the session. */
  get keepsSessions(): boolean {
    return this.options.type !== 'null' || this.options.repository !== undefined;
  }

  /** A session that is not stored. It gets an id once somebody needs one. */
  blank(): SessionState {
    return this.stateOver(this.fieldsOf());
  }

  private stateOver(fields: SessionFields): SessionState {
    const now = Date.now();
    const { absoluteLifetime } = this.options;
    return {
      sid: undefined,
      handle: undefined,
      base: undefined,
      fields,
      createdAt: now,
      accessedAt: now,
      deadline: absoluteLifetime === undefined ? undefined : now + absoluteLifetime,
      expiry: undefined,
      request: undefined,
      cookieAt: 0,
      cookie: 'none',
      follower: false,
      forwardedFrom: undefined,
      regenerated: false,
      dead: false,
      busy: undefined,
      readOnly: this.keepsSessions ? undefined : (operation) => new NullSessionError(operation),
    };
  }

  /**
   * The session of the first id that has one, else a blank one. One store command for each id until then.
   *
   * @param ids well-formed ids from the request.
   * @throws SessionStoreError when the store fails, unless `onStoreError` is `'degrade'`.
   */
  load(ids: readonly string[]): Promise<SessionState> {
    return this.telemetry.span('session.load', () => this.loadNow(ids), outcomeOfLoad);
  }

  private async loadNow(ids: readonly string[]): Promise<SessionState> {
    try {
      for (const id of ids) {
        const handle = this.ids.handleOf(id);
        const now = Date.now();
        const touch = this.touches.isDue(handle, now);
        const found = await this.stored.find(handle, touch ? this.options.lifetime : undefined);
        if (this.isDegraded) this.logger.log('[ServerSession] the session store is back');
        this.isDegraded = false;
        if (found === undefined) continue;
        const state = isSession(found) ? this.loaded(id, handle, found, touch, now) : await this.followed(id, handle, found, touch, now);
        if (state === undefined) continue;
        this.telemetry.count('loaded');
        return state;
      }
      return this.blank();
    } catch (error) {
      if (!(error instanceof SessionStoreError) || this.options.onStoreError === 'fail') throw error;
      // Once for each outage, not for every request in it.
      if (!this.isDegraded) this.logger.error(`${error.message}; serving empty, read-only sessions until it is back`);
      this.isDegraded = true;
      return { ...this.blank(), readOnly: (operation) => new SessionUnavailableError(operation) };
    }
  }

  /** A session as administration sees it, without extending it. */
  async view(handle: string, readOnly?: ReadOnlyReason): Promise<SessionState | undefined> {
    const found = await this.stored.peek(handle);
    return isSession(found) ? this.stateFrom(handle, found, readOnly) : undefined;
  }

  /** A session object's state over a stored session: for administration. Nobody knows its id; it reads as ''. */
  stateFrom(handle: string, stored: StoredSession<SessionContent>, readOnly?: ReadOnlyReason): SessionState {
    return { ...this.stateFor('', handle, stored), expiry: this.stored.expiryOf(stored), readOnly };
  }

  /** Whether the cookie of a session has an expiry. */
  isPermanent(state: SessionState): boolean {
    const permanent = state.fields.get(Attribute.permanent);
    return typeof permanent === 'boolean' ? permanent : this.options.permanent;
  }

  private loaded(id: string, handle: string, stored: StoredSession<SessionContent>, touched: boolean, now: number): SessionState {
    const state = this.stateFor(id, handle, stored);
    if (touched) {
      // The expiry of the cookie slides along, but is not sent again where it was sent a moment ago by another process.
      const fresh = now - state.cookieAt < this.options.touchInterval;
      this.touches.note(handle, fresh ? state.cookieAt : now);
      if (!fresh) {
        state.cookieAt = now;
        if (this.isPermanent(state)) state.cookie = 'set';
      }
    }
    return state;
  }

  /** The session that an id led to until a moment ago, where it has another one by now. */
  private async followed(
    id: string,
    handle: string,
    found: StoredSession,
    touched: boolean,
    now: number,
  ): Promise<SessionState | undefined> {
    if (!isRetired(found)) return undefined;
    if (touched) {
      // The touch gave a retired record a full lifetime; it must end on time, and not be touched again.
      this.touches.note(handle, now);
      await this.stored.update(handle, found.content, found.version);
    }
    const to = found.content.to === undefined ? undefined : await this.stored.follow(found.content.to);
    return to && { ...this.stateFor(id, to.handle, to.base), follower: true };
  }

  private stateFor(id: string, handle: string, stored: StoredSession<SessionContent>): SessionState {
    const state = this.stateOver(this.fieldsOf(stored.content));
    state.sid = id;
    this.identify(state, handle, stored);
    return state;
  }

  /** Makes a state that of what is stored now. */
  adopt(state: SessionState, handle: string, stored: StoredSession<SessionContent>): void {
    state.fields = this.fieldsOf(stored.content);
    this.identify(state, handle, stored);
  }

  private identify(state: SessionState, handle: string, stored: StoredSession<SessionContent>): void {
    const { content } = stored;
    state.handle = handle;
    state.base = stored;
    state.createdAt = content.createdAt;
    // A touch is not written into the record; what is left of its lifetime tells of it.
    state.accessedAt = Math.max(this.stored.lastUseOf(stored), this.touches.last(handle));
    state.cookieAt = content.cookieAt;
    state.deadline = content.deadline;
  }

  fieldsOf(content?: SessionContent): SessionFields {
    const onDamaged = (key: string, error: unknown): void => {
      this.logger.warn(`[ServerSession] the stored value of '${key}' cannot be read (${String(error)}); it counts as absent`);
    };
    return new SessionFields(this.serializers.current, onDamaged, content?.fields);
  }
}

function outcomeOfLoad(state: SessionState): string {
  if (state.readOnly !== undefined) return 'degraded';
  return state.base === undefined ? 'absent' : 'found';
}
