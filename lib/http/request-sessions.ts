import type { ExecutionContext } from '@nestjs/common';
import type { IncomingMessage } from 'node:http';
import type { ServerSession } from '../session/server-session.js';
import type { SessionLifecycle } from '../session/session-lifecycle.js';
import { type HttpExchange, toHttpExchange } from './http-exchange.js';
import { RequestCarrier } from './request-carrier.js';
import { RequestSession } from './request-session.js';
import type { SecureCookieAdvice } from './secure-cookie-advice.js';
import type { SessionCookie } from './session-cookie.js';

/** Finds the session of a request: the same one for middleware, guards, interceptors and handlers. */
export class RequestSessions {
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
    let session = RequestCarrier.get(rawRequest);
    if (session?.lifecycle !== this.lifecycle) {
      session = new RequestSession(exchange, this.lifecycle, this.cookie, this.advice);
      // Kept with Node's own request, because middleware on Fastify gets that one and everybody else the wrapper.
      RequestCarrier.set(rawRequest, session);
    } else {
      session.seenBy(exchange);
    }
    return session;
  }

  /** The loaded session of a request, for `req.session`. */
  sessionOf(rawRequest: IncomingMessage): ServerSession | undefined {
    return RequestCarrier.get(rawRequest)?.loaded;
  }
}
