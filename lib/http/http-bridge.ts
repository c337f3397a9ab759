import type { HttpAdapterHost } from '@nestjs/core';
import { type FastifyReply, type HttpExchange, type HttpRequest, linkReply } from './http-exchange.js';
import { installGate } from './response-gate.js';
import type { RequestSessions } from './request-sessions.js';

/** Where the framework's own instance, Express' or Fastify's, holds the sessions of its application. */
const SESSIONS = Symbol('server-session.sessions');

/** Express' application holds the prototype of its responses; to change each response instead is several times as slow. */
type Framework = { [SESSIONS]?: RequestSessions; response?: object };

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
      else if (framework.response !== undefined) installGate(framework.response);
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
