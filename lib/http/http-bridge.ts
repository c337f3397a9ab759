import type { HttpAdapterHost } from '@nestjs/core';
import { linkResponse, type HttpRequest } from './http-exchange.js';

/** The part of Fastify's instance that is used here. */
interface FastifyLike {
  addHook(
    name: 'onRequest',
    hook: (request: Required<Pick<HttpRequest, 'raw'>>, reply: { raw: Parameters<typeof linkResponse>[1] }, done: () => void) => void,
  ): void;
}

/**
 * What has to be told to the HTTP adapter before the first request. The adapter may be there before this module (an
 * application) or after it (a testing module); either way its hook comes ahead of all middleware.
 */
export class HttpBridge {
  constructor(host: HttpAdapterHost) {
    host.init$.subscribe(() => {
      if (host.httpAdapter?.getType() === 'fastify') linkResponses(host.httpAdapter.getInstance<FastifyLike>());
    });
  }
}

/** Fastify, unlike Express, does not link a request with its response; middleware that asks for the session has only the former. */
function linkResponses(fastify: FastifyLike): void {
  fastify.addHook('onRequest', (request, reply, done) => {
    linkResponse(request.raw, reply.raw);
    done();
  });
}
