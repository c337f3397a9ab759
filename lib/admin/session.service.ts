import { type ExecutionContext, Injectable } from '@nestjs/common';
import { randomBytes } from 'node:crypto';
import type { Observable } from 'rxjs';
import { ReadOnlySessionError } from '../errors.js';
import { assertPrincipal } from '../common/principal.js';
import type { Duration } from '../options/session-options.js';
import { exchangeOf } from '../http/adapters.js';
import { RequestSessions } from '../http/request-session.js';
import { isHandle, SessionRepository } from '../repositories/session-repository.js';
import { type ServerSession, toServerSession } from '../session/server-session.js';
import { type SessionEvent, SessionEvents } from '../storage/session-events.js';
import { SessionManager } from '../session/session-manager.js';
import type { SessionData } from '../session/session-data.js';
import { SessionStore } from '../storage/session-store.js';
import { SessionListing } from './session-listing.js';
import { SessionRevocation } from './session-revocation.js';

const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 1000;

/** Which sessions to list. */
export interface SessionQuery {
  /** Only the sessions of this user; without it (or with undefined), those of all. */
  principal?: string | undefined;
  /** From the page before, to go on after it. */
  cursor?: string | undefined;
  /**
   * About how many sessions to a page, at most 1000.
   * @default 50
   */
  limit?: number | undefined;
}

/** One page of sessions. */
export interface SessionPage {
  /** To look at: read-only, and without ids. A page may be empty and still have a successor. */
  readonly sessions: ServerSession[];
  /** Leads to the next page; undefined on the last one. */
  readonly cursor: string | undefined;
}

/** Whose sessions to end. */
export interface RevokeAllQuery {
  principal: string;
  /** Handles of sessions to leave alone, such as the `session.handle` of the request. */
  except?: string | readonly string[] | undefined;
}

/** What a session begins with that no request began. */
export interface CreateSessionOptions {
  data?: Readonly<Partial<SessionData> & Record<string, unknown>> | undefined;
  principal?: string | undefined;
  /** How long it lives since its last use, in place of the option `lifetime`. */
  lifetime?: Duration | undefined;
  /** Facts about it that are not its data. */
  meta?: Readonly<Record<string, unknown>> | undefined;
}

/** A session that no request began. */
export interface CreatedSession {
  /** Its name in the store. */
  readonly handle: string;
  /** What a client sends in its `Cookie` header to open it: `name=value`. A client that has it has the session: do not log it. */
  readonly cookie: string;
}

/**
 * Sessions from outside of their own request: for guards, middleware and administration.
 *
 * Sessions are named by their handles. These may come from URLs: one that is malformed names no session, and the store is not
 * even asked. Every operation rejects with `SessionStoreError` (503) when the store fails or takes longer than `storeTimeout`.
 */
@Injectable()
export class SessionService {
  constructor(
    private readonly requests: RequestSessions,
    private readonly manager: SessionManager,
    private readonly listing: SessionListing,
    private readonly revocation: SessionRevocation,
    private readonly store: SessionStore,
    private readonly sessionEvents: SessionEvents,
    private readonly repository: SessionRepository,
  ) {}

  /** What happens to sessions in this process, from now on. At most once each, after the store has confirmed it. */
  get events(): Observable<SessionEvent> {
    return this.sessionEvents.stream;
  }

  /**
   * The session of a request, for guards and middleware: loaded once, by the first that asks. For a socket it is read anew each time.
   *
   * @param source the request, of Express, Fastify or Node; the context of a guard or interceptor, in HTTP, GraphQL or a gateway; or
   *   a client of socket.io, in `handleConnection`.
   * @throws SessionStoreError when the store fails; TypeError where there is no request in what was given.
   */
  async load(source: ExecutionContext | object): Promise<ServerSession> {
    return this.requests.open(exchangeOf(source), 'switchToHttp' in Object(source)).load();
  }

  /**
   * A session to look at. Looking does not extend it. It is read-only (a write throws `ReadOnlySessionError`), and its `sid` is
   * the empty string: only the browser knows the id.
   *
   * @returns undefined when there is no such session.
   */
  async get(handle: string): Promise<ServerSession | undefined> {
    if (!this.canBe(handle)) return undefined;
    const state = await this.manager.view(handle, readOnly);
    return state && toServerSession(state, this.manager);
  }

  /**
   * A page of sessions, as `get` gives them. Sessions that exist all the time are listed once each, whatever comes and goes
   * meanwhile (on Redis, a listing of all may show one twice). The order is the store's own.
   *
   * @throws SessionListingNotSupportedError when the back end cannot list; InvalidSessionCursorError for a foreign cursor.
   */
  async list({ principal, cursor, limit = DEFAULT_LIMIT }: SessionQuery = {}): Promise<SessionPage> {
    if (principal !== undefined) assertPrincipal(principal);
    if (!this.manager.keepsSessions) return { sessions: [], cursor: undefined };
    const size = Math.min(MAX_LIMIT, Math.max(1, Math.trunc(limit) || DEFAULT_LIMIT));
    const page = await this.listing.page('list', size, principal, cursor);
    const sessions = page.sessions.map(({ handle, stored }) =>
      toServerSession(this.manager.viewOf(handle, stored, readOnly), this.manager),
    );
    return { sessions, cursor: page.cursor };
  }

  /**
   * How many sessions there are, of one user or of all. It costs in the number of the sessions counted, on SQL and MongoDB a
   * walk through an index, and may take ten times `storeTimeout`.
   *
   * @throws SessionListingNotSupportedError when the back end cannot list.
   */
  async count({ principal }: { principal?: string | undefined } = {}): Promise<number> {
    if (principal !== undefined) assertPrincipal(principal);
    return this.manager.keepsSessions ? this.listing.count('count', principal) : 0;
  }

  /**
   * Ends a session, at once and for every process: the next request with its id is anonymous, and one in flight cannot save it
   * any more. A session that goes on under a new id at that moment is followed.
   *
   * @returns whether there was such a session.
   */
  async revoke(handle: string): Promise<boolean> {
    return this.canBe(handle) && this.revocation.revoke(handle);
  }

  /**
   * Ends all sessions of a user that exist as it is called, in batches.
   *
   * @returns how many there were.
   * @throws SessionListingNotSupportedError when the back end cannot list; TypeError without a principal.
   */
  async revokeAll({ principal, except = [] }: RevokeAllQuery): Promise<number> {
    // Never the sessions of all users, by a variable that happens to be undefined.
    assertPrincipal(principal);
    if (!this.manager.keepsSessions) return 0;
    return this.revocation.revokeAll(principal, new Set(typeof except === 'string' ? [except] : except));
  }

  /**
   * Reads, changes and writes a session as one step: `change` runs again on the latest state, until no other request was faster.
   * Only the data, `meta` and `permanent` can be changed. Counts as a use: the session's lifetime starts anew.
   *
   * @returns what `change` returned for the state that was stored; undefined, without calling it, when there is no such session.
   * @throws SessionConflictError when others were faster for all of `storeTimeout`; PrincipalChangeError.
   */
  async update<T>(handle: string, change: (session: ServerSession) => T | Promise<T>): Promise<T | undefined> {
    if (!this.canBe(handle)) return undefined;
    return this.manager.updateByHandle(handle, (state) => change(toServerSession(state, this.manager)));
  }

  /**
   * Stores a session that no request began, for tests, magic links and support.
   *
   * @throws ReservedSessionKeyError for a key that is a member of the session object; TypeError for a wrong principal or lifetime;
   *   NullSessionError; TooManySessionsError; SessionStoreError.
   */
  async create({ data = {}, principal, lifetime, meta }: CreateSessionOptions = {}): Promise<CreatedSession> {
    const state = this.manager.blank();
    const session = toServerSession(state, this.manager);
    for (const [key, value] of Object.entries(data)) session.set(key, value);
    Object.assign(session, { principal, lifetime, meta });
    await this.manager.create(state);
    return { handle: state.handle, cookie: this.requests.transport.cookieFor(state.sid) };
  }

  /**
   * Removes expired records from a store that does not do so itself, as the timer of the option `purge` does. Takes the time it
   * takes.
   *
   * @returns how many were removed; 0 where the store does it itself.
   */
  async purgeExpired(): Promise<number> {
    return (await this.repository.purgeExpired?.()) ?? 0;
  }

  /**
   * Asks the store for a session that does not exist: for health checks.
   *
   * @throws SessionStoreError when the store fails or does not answer within `storeTimeout`.
   */
  async ping(): Promise<void> {
    await this.store.peek(randomBytes(32).toString('base64url'));
  }

  private canBe(handle: string): boolean {
    return this.manager.keepsSessions && isHandle(handle);
  }
}

function readOnly(operation: string): Error {
  return new ReadOnlySessionError(operation);
}
