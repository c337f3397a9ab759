import type { SessionRequest } from '../options/session-options.js';
import { applyChanges, Attribute, type FieldChanges, FieldKind } from '../storage/record.codec.js';
import type { Base, Place } from '../storage/session-store.js';
import type { SessionFields } from './session-fields.js';
import type { SessionIds } from './session-id.js';
import type { ServerSession } from './server-session.js';

/**
 * Where a session stands in the life of one request:
 * - `new`: not stored (yet).
 * - `stored`: under the id of the request.
 * - `following`: the request came with an id that another request regenerated a moment ago. Its changes still count, and it sees
 *   nothing of what came after the regeneration.
 * - `ended`: destroyed, revoked or expired meanwhile. What the request still does to it is dropped.
 */
export type SessionPhase = 'new' | 'stored' | 'following' | 'ended';

/** What the response has to say about the cookie. */
export type CookieChange = 'none' | 'set' | 'clear';

/** Why a session cannot be written, as the error to throw. */
export type ReadOnlyReason = (operation: string) => Error;

/** What the session needs to know of the request that it belongs to. */
export interface SessionExchange {
  /** The framework's request, for the option `meta`. */
  readonly request?: SessionRequest;
  /** Whether the head of the response has left, so that no other id can be sent any more. */
  readonly isHeadSent?: boolean;
  /** The id that the client has, as far as this response knows. */
  readonly sentId?: string | undefined;
  /** Ends what else the client has, when the session is destroyed. */
  endOthers?(): Promise<void>;
  /** Makes another object the `req.session` of the request. */
  show?(session: ServerSession): void;
}

/** One session in one request: who it is, what is stored of it, and what the request made of it. A method for each thing that can happen to it. */
class State {
  phase: SessionPhase = 'new';
  /** What is stored, as far as this request knows; undefined for a session that is not, or not any more. */
  base: Base | undefined = undefined;
  fields: SessionFields;
  cookie: CookieChange = 'none';
  /** Epoch milliseconds, as the other instants here. */
  createdAt = Date.now();
  accessedAt = this.createdAt;
  /** When its cookie was last sent. */
  cookieAt = 0;
  /** The absolute end; undefined without `absoluteLifetime`. */
  deadline: number | undefined;
  /** Whether this request gave the session a new id. */
  isRegenerated = false;
  /** The old handle, where this request regenerated the session and requests with the old id still find it. */
  formerHandle: string | undefined = undefined;
  /** The other ids that the request brought. A log-out ends their sessions too. */
  otherIds: readonly string[] = [];
  /** The request, where there is one. */
  exchange: SessionExchange = {};
  private ownSid: string | undefined = undefined;
  private ownHandle: string | undefined = undefined;
  private running: Promise<unknown> | undefined = undefined;

  /**
   * @param blank what a session without a record holds.
   * @param absoluteLifetime milliseconds, counted from now for a session that is not stored.
   * @param readOnly where the session cannot be written.
   * @param viewedUntil for administration, which does not use the session that it looks at: when it ends, in epoch milliseconds.
   */
  constructor(
    private readonly ids: SessionIds,
    private readonly blank: () => SessionFields,
    private readonly absoluteLifetime: number | undefined,
    readonly readOnly?: ReadOnlyReason,
    readonly viewedUntil?: number,
  ) {
    this.fields = blank();
    this.deadline = this.deadlineFromNow();
  }

  /** The id in the cookie, made when it is first asked for. */
  get sid(): string {
    return (this.ownSid ??= this.ids.generate());
  }

  /** The name in the store. While following: the name under which the session goes on. */
  get handle(): string {
    return (this.ownHandle ??= this.ids.handleOf(this.sid));
  }

  /** Whether an operation is under way. */
  get isBusy(): boolean {
    return this.running !== undefined;
  }

  /** Runs saves, regenerations and the like one after the other: a response may end while a save is under way. */
  async inTurn<T>(operation: () => Promise<T>): Promise<T> {
    while (this.running !== undefined) await this.running.catch(() => undefined);
    const running = operation();
    this.running = running;
    try {
      return await running;
    } finally {
      this.running = undefined;
    }
  }

  /** Gives a session that is not stored the id that it gets, in place of one at random. */
  reserveId(sid: string): void {
    this.ownSid = sid;
    this.ownHandle = undefined;
  }

  /** Makes it the session of a record. */
  open(sid: string, { handle, base }: Place, accessedAt: number, fields: SessionFields): void {
    const { content } = base;
    this.phase = 'stored';
    this.ownSid = sid;
    this.ownHandle = handle;
    this.base = base;
    this.fields = fields;
    this.createdAt = content.createdAt;
    this.accessedAt = accessedAt;
    this.cookieAt = content.cookieAt;
    this.deadline = content.deadline;
  }

  /** The session goes on under a handle whose id this request does not know and never gets. */
  follow(handle: string): void {
    this.phase = 'following';
    this.ownHandle = handle;
    this.cookie = 'none';
    this.isRegenerated = false;
  }

  /** A record was created for it. */
  created(base: Base, changes: FieldChanges): void {
    this.phase = 'stored';
    this.rebase(base, changes);
    this.sendCookie(base.content.cookieAt);
  }

  /** The id that it would have had is taken, or must not be used. */
  forgetId(): void {
    this.ownSid = undefined;
    this.ownHandle = undefined;
  }

  /** It has another id. @param formerHandle where requests with the old id still find it. */
  moved(sid: string, handle: string, base: Base, changes: FieldChanges, formerHandle: string | undefined): void {
    this.ownSid = sid;
    this.ownHandle = handle;
    this.isRegenerated = true;
    this.formerHandle = formerHandle;
    this.created(base, changes);
  }

  /** Requests with the old id do not find it any more. */
  leftFormerHandle(): void {
    this.formerHandle = undefined;
  }

  /**
   * Changes of this request were stored.
   *
   * @param isShared whether other requests wrote along, perhaps the same key: this request's own value counts as stored for it then.
   */
  wrote({ handle, base }: Place, changes: FieldChanges, isShared: boolean): void {
    if (this.phase === 'following' || handle !== this.handle) {
      this.follow(handle);
      const seen = this.base!.content;
      this.rebase({ version: base.version, content: { ...seen, fields: applyChanges(seen.fields, changes) } }, changes);
    } else if (isShared) {
      this.base = base;
      this.fields.rebase(applyChanges(base.content.fields, changes), changes);
    } else {
      this.rebase(base, changes);
    }
  }

  /** The cookie is to be sent (again). @param now epoch milliseconds. */
  sendCookie(now = this.cookieAt): void {
    this.cookieAt = now;
    this.cookie = 'set';
  }

  markEnded(): void {
    this.phase = 'ended';
    this.cookie = 'none';
  }

  /** Makes it a session that has nothing to do with the one before: what is written from now on gets a new id. */
  startOver(cookie: CookieChange): void {
    this.phase = 'new';
    this.forgetId();
    this.base = undefined;
    this.fields = this.blank();
    this.cookie = cookie;
    this.accessedAt = this.createdAt = Date.now();
    this.deadline = this.deadlineFromNow();
    this.isRegenerated = false;
    this.formerHandle = undefined;
    this.otherIds = [];
  }

  /**
   * Drops the principal and what the application keeps, but for these keys. What the session is itself (its lifetime, say) stays.
   *
   * @returns what undoes it.
   */
  dropData(keep: readonly string[]): () => void {
    const kept = new Set(keep.map((key) => FieldKind.data + key));
    return this.fields.drop((key) => key === Attribute.principal || !(key.startsWith(FieldKind.attribute) || kept.has(key)));
  }

  private rebase(base: Base, changes: FieldChanges): void {
    this.base = base;
    this.fields.rebase(base.content.fields, changes);
  }

  private deadlineFromNow(): number | undefined {
    return this.absoluteLifetime === undefined ? undefined : Date.now() + this.absoluteLifetime;
  }
}

type OfRequest = 'otherIds' | 'exchange';

/** What others see: they change a session through its methods alone. */
export type SessionState = Readonly<Omit<State, OfRequest>> & Pick<State, OfRequest>;
export const SessionState: new (...parts: ConstructorParameters<typeof State>) => SessionState = State;
