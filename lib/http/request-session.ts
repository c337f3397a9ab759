import { HttpException, Logger } from '@nestjs/common';
import { toServerSession, type ServerSession } from '../session/server-session.js';
import type { SessionLifecycle } from '../session/session-lifecycle.js';
import type { SessionState } from '../session/session-state.js';
import { isSecure, type HttpExchange } from './http-exchange.js';
import { ResponseGate, type FailureResponse, type GateKeeper } from './response-gate.js';
import type { HeadHeaders } from './response-head.js';
import type { SecureCookieAdvice } from './secure-cookie-advice.js';
import type { CookieIds, SessionCookie } from './session-cookie.js';

/** How long server-sent events of a new session wait for the handler's first sign before their head leaves, in milliseconds. */
const FIRST_EVENT_WAIT = 250;

/**
 * The session of one HTTP request: loaded once, whoever asks first, and committed before the response ends. It is the
 * keeper of the response's gate.
 */
export class RequestSession implements GateKeeper {
  private static readonly logger = new Logger('ServerSession');

  private readonly cookies: CookieIds;
  private readonly gate: ResponseGate | undefined;
  private loading: Promise<ServerSession> | undefined;
  private state: SessionState | undefined;
  private session: ServerSession | undefined;
  /** A save failed and its error is on the way to the client: nothing is tried again, and no cookie is set. */
  private hasFailed = false;
  /** The head of the response has left, and whether the cookie went along. */
  private hasHeadLeft = false;
  private isCookieSent = false;
  /** Server-sent events wait for the handler's first sign of life, or until enough time has passed for it. */
  private awaitsFirstEvent = false;

  constructor(
    private exchange: HttpExchange,
    private readonly lifecycle: SessionLifecycle,
    private readonly cookie: SessionCookie,
    private readonly advice: SecureCookieAdvice,
  ) {
    this.cookies = lifecycle.keepsSessions ? cookie.parse(exchange.rawRequest.headers.cookie) : { ids: [], outdated: new Set() };
    this.gate = exchange.rawResponse && new ResponseGate(exchange.rawResponse, this);
  }

  /** The session, at once where no store has to be asked. */
  load(): ServerSession | Promise<ServerSession> {
    if (this.session !== undefined) return this.session;
    if (this.cookies.ids.length === 0) return this.adopt(this.lifecycle.blank());
    return (this.loading ??= this.loadFromStore());
  }

  /** A middleware may have come with Node's request before the framework's is known. */
  seenBy(exchange: HttpExchange): void {
    if (this.exchange.request === exchange.request) return;
    this.exchange = { ...exchange, rawResponse: this.exchange.rawResponse };
    if (this.session !== undefined) exchange.request.session = this.session;
  }

  /**
   * Commits while an error can still go through the application's filters.
   *
   * @throws what the commit throws; it is not tried again for this response.
   */
  async commit(): Promise<void> {
    try {
      await this.settle();
    } catch (error) {
      this.hasFailed = true;
      throw error;
    }
  }

  /** Nest sends the head of server-sent events on a timer, perhaps before the handler ran: it is to wait a little. */
  awaitFirstEvent(): void {
    this.awaitsFirstEvent = true;
    setTimeout(() => this.begin(), FIRST_EVENT_WAIT).unref();
  }

  /** The handler's stream showed a sign of life: an event, its end or an error. */
  begin(): void {
    if (!this.awaitsFirstEvent) return;
    this.awaitsFirstEvent = false;
    this.gate?.release();
  }

  isSettled(): boolean {
    if (this.hasFailed || this.state === undefined) return true;
    try {
      return this.lifecycle.isSettled(this.state);
    } catch {
      return false; // What cannot be serialized: `settle` says so, where an error can be handled.
    }
  }

  async settle(): Promise<void> {
    const { state, hasHeadLeft } = this;
    if (state === undefined) return;
    const wasNew = state.base === undefined;
    await this.lifecycle.commit(state);
    if (wasNew && state.base !== undefined && hasHeadLeft && !this.isCookieSent) {
      RequestSession.logger.warn(
        '[ServerSession] a session began after the response had: its cookie could not be sent. Write to the session, or call ' +
          'session.save(), before the first byte of a stream.',
      );
    }
  }

  isUndecided(): boolean {
    if (this.loading !== undefined) return true;
    return this.awaitsFirstEvent && this.state !== undefined && this.state.base === undefined;
  }

  headers(): HeadHeaders {
    this.hasHeadLeft = true;
    const setCookie = this.hasFailed || this.state === undefined ? undefined : this.setCookie(this.state);
    this.isCookieSent = setCookie !== undefined;
    return { setCookie, vary: 'Cookie' };
  }

  failed(error: unknown): FailureResponse {
    RequestSession.logger.error(error instanceof Error ? (error.stack ?? error.message) : String(error));
    const exception = error instanceof HttpException ? error : undefined;
    const statusCode = exception?.getStatus() ?? 500;
    return { statusCode, body: JSON.stringify(exception?.getResponse() ?? { statusCode, message: 'Internal server error' }) };
  }

  abandoned(): void {
    if (!this.isSettled()) this.settle().catch((error: unknown) => void this.failed(error));
  }

  private async loadFromStore(): Promise<ServerSession> {
    try {
      return this.adopt(await this.lifecycle.load(this.cookies.ids));
    } finally {
      this.loading = undefined;
      this.gate?.release();
    }
  }

  private adopt(state: SessionState): ServerSession {
    this.state = state;
    this.session = toServerSession(state, this.lifecycle);
    if (state.sid !== undefined && this.cookies.outdated.has(state.sid)) state.cookie = 'set';
    const { request, rawRequest } = this.exchange;
    request.session = this.session;
    if (rawRequest !== request) Object.assign(rawRequest, { session: this.session });
    return this.session;
  }

  private setCookie(state: SessionState): string | undefined {
    if (state.dead || state.follower) return undefined;
    // The head of a stream may leave before the session is stored: its cookie goes along all the same.
    const begins = state.base === undefined && !this.isSettled();
    if (state.cookie === 'none' && !begins) return undefined;
    const secure = this.advice.secureFor(isSecure(this.exchange), this.exchange.rawRequest);
    if (state.cookie === 'clear' && !begins) return this.cookie.clear(secure);
    const expiry = this.lifecycle.isPermanent(state) ? this.lifecycle.expiryOf(state) : undefined;
    return this.cookie.set(this.lifecycle.idOf(state), expiry, secure);
  }
}
