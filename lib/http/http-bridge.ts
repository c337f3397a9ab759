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
 * What has to be told to the HTTP adapter before the first request. Made when the module is, ahead of all middleware.
 */
export class HttpBridge {
  constructor(host: HttpAdapterHost) {
    // Absent where the application has no HTTP server at all.
    const adapter = host.httpAdapter as HttpAdapterHost['httpAdapter'] | undefined;
    if (adapter?.getType() !== 'fastify') return;
    // Fastify, unlike Express, does not link a request with its response; middleware that asks for the session has only the former.
    adapter.getInstance<FastifyLike>().addHook('onRequest', (request, reply, done) => {
      linkResponse(request.raw, reply.raw);
      done();
    });
  }
}
