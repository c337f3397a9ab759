import { HttpException, Logger } from '@nestjs/common';
import { type ServerSession, toServerSession } from '../session/server-session.js';
import type { SessionLifecycle } from '../session/session-lifecycle.js';
import type { SessionState } from '../session/session-state.js';
import { type HttpExchange, isSecure } from './http-exchange.js';
import { type GateKeeper, ResponseGate } from './response-gate.js';
import { describesBody, type HeadHeaders } from './response-head.js';
import type { SecureCookieAdvice } from './secure-cookie-advice.js';
import { type CookieIds, NO_IDS, type SessionCookie } from './session-cookie.js';

const logger = new Logger('ServerSession');

/**
 * The session of one HTTP request: loaded once, whoever asks first, and committed before the response ends. It is the
 * keeper of the response's gate.
 */
export class RequestSession implements GateKeeper {
  private readonly cookies: CookieIds;
  /** The exit of the response. */
  readonly gate: ResponseGate | undefined;
  private loading: Promise<ServerSession> | undefined;
  private state: SessionState | undefined;
  private session: ServerSession | undefined;
  /** A save failed and its error is on the way to the client: nothing is tried again, and no cookie is set. */
  private hasFailed = false;
  /** The head of the response has left, and whether the cookie went along. */
  private hasHeadLeft = false;
  private isCookieSent = false;

  constructor(
    private exchange: HttpExchange,
    readonly lifecycle: SessionLifecycle,
    private readonly cookie: SessionCookie,
    private readonly advice: SecureCookieAdvice,
  ) {
    this.cookies = lifecycle.loader.keepsSessions ? cookie.parse(exchange.rawRequest.headers.cookie) : NO_IDS;
    this.gate = exchange.rawResponse && new ResponseGate(exchange.rawResponse, this);
  }

  /** The session, at once where no store has to be asked. */
  load(): ServerSession | Promise<ServerSession> {
    if (this.session !== undefined) return this.session;
    if (this.cookies.ids.length === 0) return this.adopt(this.lifecycle.loader.blank());
    return (this.loading ??= this.loadFromStore());
  }

  /** The session, once it is loaded. */
  get loaded(): ServerSession | undefined {
    return this.session;
  }

  /** A middleware may have come with Node's request before the framework's is known. */
  seenBy(exchange: HttpExchange): void {
    if (this.exchange.request === exchange.request) return;
    this.exchange = { ...exchange, rawResponse: this.exchange.rawResponse };
    this.show();
  }

  isSettled(): boolean {
    if (this.hasFailed || this.state === undefined) return true;
    try {
      return this.lifecycle.isSettled(this.state);
    } catch {
      return false; // What cannot be serialized: `settle` says so, where an error can be handled.
    }
  }

  settle(): Promise<void> | undefined {
    const { state, hasHeadLeft } = this;
    if (state === undefined || this.hasFailed) return undefined;
    const begins = state.base === undefined && hasHeadLeft;
    const settling = this.attempt(state);
    return begins ? settling?.then(() => this.warnOfLostCookie(state)) : settling;
  }

  isLoading(): boolean {
    return this.loading !== undefined;
  }

  mayBegin(): boolean {
    return this.state?.base === undefined;
  }

  headers(): HeadHeaders {
    this.hasHeadLeft = true;
    const setCookie = this.hasFailed || this.state === undefined ? undefined : this.setCookie(this.state);
    this.isCookieSent = setCookie !== undefined;
    return { setCookie, vary: 'Cookie' };
  }

  failed(error: unknown, refuse: (status: number, body: string) => void): void {
    this.hasFailed = true;
    const { request, reply } = this.exchange;
    // The application's own filters for errors answer, as they do for the errors of handlers.
    if (reply !== undefined && !reply.sent) {
      for (const name of Object.keys(reply.getHeaders())) if (describesBody(name)) reply.removeHeader(name);
      return reply.send(error);
    }
    if (request.next !== undefined) return request.next(error);
    report(error);
    const exception = error instanceof HttpException ? error : undefined;
    const statusCode = exception?.getStatus() ?? 500;
    refuse(statusCode, JSON.stringify(exception?.getResponse() ?? { statusCode, message: 'Internal server error' }));
  }

  failedTooLate(error: unknown): void {
    this.hasFailed = true;
    report(error);
  }

  abandoned(): void {
    this.settle()?.catch(report);
  }

  /** What cannot be serialized fails as what cannot be stored does. */
  private attempt(state: SessionState): Promise<void> | undefined {
    try {
      return this.lifecycle.settle(state);
    } catch (error) {
      return Promise.reject(error as Error);
    }
  }

  private warnOfLostCookie({ base }: SessionState): void {
    if (base === undefined || this.isCookieSent) return;
    logger.warn(
      '[ServerSession] a session began after the response had: its cookie could not be sent. Write to the session, or call ' +
        'session.save(), before the first byte of a stream.',
    );
  }

  private async loadFromStore(): Promise<ServerSession> {
    try {
      return this.adopt(await this.lifecycle.loader.load(this.cookies.ids));
    } finally {
      this.loading = undefined;
      this.gate?.release();
    }
  }

  private adopt(state: SessionState): ServerSession {
    this.state = state;
    if (this.lifecycle.notesRequests) state.request = () => this.exchange.request;
    this.session = toServerSession(state, this.lifecycle);
    if (state.sid !== undefined && this.cookies.outdated.includes(state.sid)) state.cookie = 'set';
    this.show();
    return this.session;
  }

  /** As `req.session`, where the framework's prototype does not show it already. */
  private show(): void {
    const { request, rawRequest } = this.exchange;
    if (this.session === undefined || request.session === this.session) return;
    request.session = this.session;
    if (rawRequest !== request) Object.assign(rawRequest, { session: this.session });
  }

  private setCookie(state: SessionState): string | undefined {
    if (state.dead || state.follower) return undefined;
    // The head of a stream may leave before the session is stored: its cookie goes along all the same.
    const begins = state.base === undefined && !this.isSettled();
    if (state.cookie === 'none' && !begins) return undefined;
    const secure = this.advice.secureFor(isSecure(this.exchange), this.exchange.rawRequest);
    if (state.cookie === 'clear' && !begins) return this.cookie.clear(secure);
    const expiry = this.lifecycle.loader.isPermanent(state) ? this.lifecycle.expiryOf(state) : undefined;
    return this.cookie.set(this.lifecycle.idOf(state), expiry, secure);
  }
}

function report(error: unknown): void {
  logger.error(error instanceof Error ? (error.stack ?? error.message) : String(error));
}
