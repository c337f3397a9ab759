import type { ExecutionContext } from '@nestjs/common';
import type { IncomingMessage } from 'node:http';
import type { SessionLifecycle } from '../session/session-lifecycle.js';
import { type HttpExchange, toHttpExchange } from './http-exchange.js';
import { RequestSession } from './request-session.js';
import type { SecureCookieAdvice } from './secure-cookie-advice.js';
import type { SessionCookie } from './session-cookie.js';

/** On Node's own request, because middleware on Fastify gets that one and everybody else the wrapper. */
const REQUEST_SESSION = Symbol('server-session.request-session');

type WithSession = IncomingMessage & { [REQUEST_SESSION]?: RequestSession };

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
    const request: WithSession = exchange.rawRequest;
    const known = request[REQUEST_SESSION];
    if (known?.lifecycle === this.lifecycle) {
      known.seenBy(exchange);
      return known;
    }
    return (request[REQUEST_SESSION] = new RequestSession(exchange, this.lifecycle, this.cookie, this.advice));
  }
}
