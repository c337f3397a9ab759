import { type ExecutionContext, Injectable } from '@nestjs/common';
import { randomBytes } from 'node:crypto';
import type { Observable } from 'rxjs';
import { InvalidSessionCursorError, ReadOnlySessionError } from '../errors.js';
import { exchangeOf } from '../http/adapters.js';
import type { RequestSessions } from '../http/request-session.js';
import type { SessionRepository } from '../repositories/session-repository.js';
import { type ServerSession, toServerSession } from '../session/server-session.js';
import type { SessionEvent, SessionEvents } from '../session/session-events.js';
import { isHandle } from '../session/session-id.js';
import type { SessionLifecycle } from '../session/session-lifecycle.js';
import type { SessionStore } from '../storage/session-store.js';
import type { SessionListing } from './session-listing.js';
import type { SessionRevocation } from './session-revocation.js';

const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 1000;
/** What the cursors of all back ends look like, whatever they mean. */
const CURSOR = /^[\w.:@[\]%-]{1,256}$/;

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
  /** Handles of sessions to leave alone, such as `session.handle` of whoever asks. */
  except?: string | readonly string[] | undefined;
}

/** What `SessionService` is made from. */
export interface SessionServiceParts {
  readonly requests: RequestSessions;
  readonly lifecycle: SessionLifecycle;
  readonly listing: SessionListing;
  readonly revocation: SessionRevocation;
  readonly stored: SessionStore;
  readonly events: SessionEvents;
  readonly repository: SessionRepository;
}

/**
 * Sessions from outside of their own request: for guards, middleware and administration.
 *
 * Sessions are named by their handles. These may come from URLs: one that is malformed names no session, and the store is not
 * even asked. Every operation rejects with `SessionStoreError` (503) when the store fails or takes longer than `storeTimeout`.
 */
@Injectable()
export class SessionService {
  constructor(private readonly parts: SessionServiceParts) {}

  /** What happens to sessions in this process, from now on. At most once each, after the store has confirmed it. */
  get events(): Observable<SessionEvent> {
    return this.parts.events.stream;
  }

  /**
   * The session of a request, for guards and middleware: loaded once, whoever asks first. For a socket it is read anew each time.
   *
   * @param source the request, of Express, Fastify or Node; the context of a guard or interceptor, in HTTP, GraphQL or a gateway; or
   *   a client of socket.io, in `handleConnection`.
   * @throws SessionStoreError when the store fails; TypeError where there is no request in what was given.
   */
  async load(source: ExecutionContext | object): Promise<ServerSession> {
    return this.parts.requests.open(exchangeOf(source), 'switchToHttp' in Object(source)).load();
  }

  /**
   * A session to look at. Looking does not extend it. It is read-only (a write throws `ReadOnlySessionError`), and its `sid` is
   * the empty text: nobody but the browser knows the id.
   *
   * @returns undefined when there is no such session.
   */
  async get(handle: string): Promise<ServerSession | undefined> {
    if (!this.canBe(handle)) return undefined;
    const { lifecycle } = this.parts;
    const state = await lifecycle.loader.view(handle, readOnly);
    return state && toServerSession(state, lifecycle);
  }

  /**
   * A page of sessions, as `get` gives them. Sessions that exist all the time are listed once each, whatever comes and goes
   * meanwhile (on Redis, a listing of all may show one twice). The order is the store's own.
   *
   * @throws SessionListingNotSupportedError when the back end cannot list; InvalidSessionCursorError for a foreign cursor.
   */
  async list({ principal, cursor, limit = DEFAULT_LIMIT }: SessionQuery = {}): Promise<SessionPage> {
    if (cursor !== undefined && !CURSOR.test(cursor)) throw new InvalidSessionCursorError();
    const { lifecycle, listing } = this.parts;
    if (!lifecycle.loader.keepsSessions) return { sessions: [], cursor: undefined };
    const size = Math.min(MAX_LIMIT, Math.max(1, Math.trunc(limit) || DEFAULT_LIMIT));
    const page = await listing.page('list', size, principal, cursor);
    const sessions = page.sessions.map(({ handle, stored }) =>
      toServerSession(lifecycle.loader.stateFrom(handle, stored, readOnly), lifecycle),
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
    const { lifecycle, listing } = this.parts;
    return lifecycle.loader.keepsSessions ? listing.count('count', principal) : 0;
  }

  /**
   * Ends a session, at once and for every process: the next request with its id is anonymous, and one in flight cannot save it
   * any more. A session that goes on under a new id at that moment is followed.
   *
   * @returns whether there was such a session.
   */
  async revoke(handle: string): Promise<boolean> {
    return this.canBe(handle) && this.parts.revocation.revoke(handle);
  }

  /**
   * Ends all sessions of a user that exist as it is called, in batches.
   *
   * @returns how many there were.
   * @throws SessionListingNotSupportedError when the back end cannot list; TypeError without a principal.
   */
  async revokeAll({ principal, except = [] }: RevokeAllQuery): Promise<number> {
    // Never everybody's, by a variable that happens to be undefined.
    if (typeof principal !== 'string') throw new TypeError('[ServerSession] revokeAll() needs a principal, as a text');
    const { lifecycle, revocation } = this.parts;
    if (!lifecycle.loader.keepsSessions) return 0;
    return revocation.revokeAll(principal, new Set(typeof except === 'string' ? [except] : except));
  }

  /**
   * Reads, changes and writes a session as one step: `change` runs again on the latest state, until nobody else was faster.
   * Only the data, `meta` and `permanent` can be changed. Counts as a use: the session's lifetime starts anew.
   *
   * @returns what `change` returned for the state that was stored; undefined, without calling it, when there is no such session.
   * @throws SessionConflictError when others were faster for all of `storeTimeout`; PrincipalChangeError.
   */
  async update<T>(handle: string, change: (session: ServerSession) => T | Promise<T>): Promise<T | undefined> {
    if (!this.canBe(handle)) return undefined;
    const { lifecycle } = this.parts;
    return lifecycle.updateByHandle(handle, (state) => change(toServerSession(state, lifecycle)));
  }

  /**
   * Removes expired records from a store that does not do so itself, as the timer of the option `purge` does. Takes the time it
   * takes.
   *
   * @returns how many were removed; 0 where the store does it itself.
   */
  async purgeExpired(): Promise<number> {
    return (await this.parts.repository.purgeExpired?.()) ?? 0;
  }

  /**
   * Asks the store for a session that does not exist: for health checks.
   *
   * @throws SessionStoreError when the store fails or does not answer within `storeTimeout`.
   */
  async ping(): Promise<void> {
    await this.parts.stored.peek(randomBytes(32).toString('base64url'));
  }

  private canBe(handle: string): boolean {
    return this.parts.lifecycle.loader.keepsSessions && isHandle(handle);
  }
}

function readOnly(operation: string): Error {
  return new ReadOnlySessionError(operation);
}
