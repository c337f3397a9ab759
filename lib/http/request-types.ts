import type { ServerSession } from '../session/server-session.js';

declare global {
  namespace Express {
    interface Request {
      /** The session, once it is loaded: in handlers that take the request, and with `earlyLoad` everywhere. `null` ends it with the request. */
      get session(): ServerSession;
      set session(session: ServerSession | null);
      /** The id of the session. */
      sessionID: string;
    }
  }
}

/** @ts-ignore In an application without Fastify there is nothing to extend. */
declare module 'fastify' {
  interface FastifyRequest {
    /** The session, once it is loaded: in handlers that take the request, and with `earlyLoad` everywhere. `null` ends it with the request. */
    get session(): ServerSession;
    set session(session: ServerSession | null);
    /** The id of the session. */
    sessionID: string;
  }
}
