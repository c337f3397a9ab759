import type { IncomingMessage, ServerResponse } from 'node:http';
import type { RequestSession } from './request-session.js';

const REQUEST_SESSION = Symbol('server-session.request-session');

type Carrier = object & { [REQUEST_SESSION]?: RequestSession };

/**
 * Where the session of a request is kept: on the object of its headers, unseen, because that is Node's own, the same for all
 * who look at the request, and cheap to add to. A property of the request or response themselves costs several microseconds
 * where Express has exchanged their prototype, and a WeakMap costs the garbage collector as much.
 */
export const RequestCarrier = {
  get(request: IncomingMessage): RequestSession | undefined {
    return (request.headers as Carrier)[REQUEST_SESSION];
  },

  set(request: IncomingMessage, session: RequestSession): void {
    Object.defineProperty(request.headers, REQUEST_SESSION, { value: session, writable: true });
  },

  /** By the response, which Node links to its request. */
  of(response: ServerResponse): RequestSession | undefined {
    return (response.req.headers as Carrier)[REQUEST_SESSION];
  },
};
