import { type ExecutionContext, Injectable } from '@nestjs/common';
import { RequestSessions } from '../http/request-sessions.js';
import type { ServerSession } from '../session/server-session.js';

/** Sessions from outside of a handler: for guards, middleware and administration. */
@Injectable()
export class SessionService {
  constructor(private readonly sessions: RequestSessions) {}

  /**
   * The session of a request, for guards and middleware: loaded once, whoever asks first.
   *
   * @param source the request, of Express, Fastify or Node, or the context of a guard or interceptor.
   * @throws SessionStoreError when the store fails.
   */
  async load(source: ExecutionContext | object): Promise<ServerSession> {
    const session = this.sessions.open(source);
    if (session === undefined) throw new TypeError('[ServerSession] load() was given a context without an HTTP request');
    return session.load();
  }
}
