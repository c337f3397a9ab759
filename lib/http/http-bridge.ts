import type { HttpAdapterHost } from '@nestjs/core';
import type { IncomingMessage } from 'node:http';
import { type FastifyReply, type HttpExchange, type HttpRequest, linkReply } from './http-exchange.js';
import { installGates } from './gate-methods.js';
import { gateOfRequest } from './response-gate.js';
import type { RequestSessions } from './request-sessions.js';

/** Where the framework's own instance, Express' or Fastify's, holds the sessions of its application. */
const SESSIONS = Symbol('server-session.sessions');

/** Express' application holds the prototypes of its requests and responses. */
type Framework = { [SESSIONS]?: RequestSessions; request?: object; response?: object };

/** The part of Fastify's instance that is used here. */
interface FastifyLike {
  addHook(name: 'onRequest', hook: (request: Required<Pick<HttpRequest, 'raw'>>, reply: FastifyReply, done: () => void) => void): void;
}

/**
 * What has to be told to the HTTP adapter before the first request. The adapter may be there before this module (an
 * application) or after it (a testing module); either way its hook comes ahead of all middleware.
 */
export class HttpBridge {
  constructor(host: HttpAdapterHost, sessions: RequestSessions) {
    host.init$.subscribe(() => {
      const adapter = host.httpAdapter as HttpAdapterHost['httpAdapter'] | undefined;
      const framework = adapter?.getInstance<Framework & FastifyLike>();
      if (framework === undefined) return;
      framework[SESSIONS] = sessions;
      if (adapter?.getType() === 'fastify') linkReplies(framework);
      if (framework.response !== undefined) installGates(framework.response, gateOfRequest);
      if (framework.request !== undefined) showSessions(framework.request, sessions);
    });
  }
}

/** The sessions of the application that a request came to, for those that nobody injects into. */
export function requestSessionsOf({ request }: HttpExchange): RequestSessions | undefined {
  return ((request.server ?? request.app) as Framework | undefined)?.[SESSIONS];
}

function linkReplies(fastify: FastifyLike): void {
  fastify.addHook('onRequest', (request, reply, done) => {
    linkReply(request.raw, reply);
    done();
  });
}

/**
 * `req.session` for all requests of an Express application. On the prototype, because a property of its own costs each request
 * several microseconds; whoever assigns one all the same has it.
 */
function showSessions(prototype: object, sessions: RequestSessions): void {
  Object.defineProperty(prototype, 'session', {
    configurable: true,
    get(this: IncomingMessage) {
      return sessions.sessionOf(this);
    },
    set(this: IncomingMessage, value: unknown) {
      Object.defineProperty(this, 'session', { value, writable: true, enumerable: true, configurable: true });
    },
  });
}
