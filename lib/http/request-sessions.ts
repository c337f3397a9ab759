import type { ExecutionContext } from '@nestjs/common';
import type { IncomingMessage } from 'node:http';
import type { SessionLifecycle } from '../session/session-lifecycle.js';
import { toHttpExchange } from './http-exchange.js';
import { RequestSession } from './request-session.js';
import type { SecureCookieAdvice } from './secure-cookie-advice.js';
import type { SessionCookie } from './session-cookie.js';

/** Finds the session of a request: the same one for middleware, guards, interceptors and handlers. */
export class RequestSessions {
  /** By Node's own request, because middleware on Fastify gets that one and everybody else the wrapper. */
  private readonly sessions = new WeakMap<IncomingMessage, RequestSession>();

  constructor(
    private readonly lifecycle: SessionLifecycle,
    private readonly cookie: SessionCookie,
    private readonly advice: SecureCookieAdvice,
  ) {}

  /** The session of a request that somebody has asked for before. */
  find(source: ExecutionContext | object): RequestSession | undefined {
    const exchange = toHttpExchange(source);
    const found = exchange && this.sessions.get(exchange.rawRequest);
    if (found !== undefined && exchange !== undefined) found.seenBy(exchange);
    return found;
  }

  /** @returns undefined for a context without an HTTP request. */
  open(source: ExecutionContext | object): RequestSession | undefined {
    const exchange = toHttpExchange(source);
    if (exchange === undefined) return undefined;
    let session = this.sessions.get(exchange.rawRequest);
    if (session === undefined) {
      session = new RequestSession(exchange, this.lifecycle, this.cookie, this.advice);
      this.sessions.set(exchange.rawRequest, session);
    } else {
      session.seenBy(exchange);
    }
    return session;
  }
}
