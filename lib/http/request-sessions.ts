import type { ExecutionContext } from '@nestjs/common';
import type { IncomingMessage } from 'node:http';
import type { ServerSession } from '../session/server-session.js';
import type { SessionLifecycle } from '../session/session-lifecycle.js';
import { type HttpExchange, toHttpExchange } from './http-exchange.js';
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

  /** @returns undefined for a context without an HTTP request. */
  open(source: ExecutionContext | object): RequestSession | undefined {
    const exchange = toHttpExchange(source);
    return exchange && this.openExchange(exchange);
  }

  openExchange(exchange: HttpExchange): RequestSession {
    const { rawRequest } = exchange;
    let session = this.sessions.get(rawRequest);
    if (session === undefined) {
      session = new RequestSession(exchange, this.lifecycle, this.cookie, this.advice);
      this.sessions.set(rawRequest, session);
    } else {
      session.seenBy(exchange);
    }
    return session;
  }

  /** The loaded session of a request, for `req.session`. */
  sessionOf(rawRequest: IncomingMessage): ServerSession | undefined {
    return this.sessions.get(rawRequest)?.loaded;
  }
}
