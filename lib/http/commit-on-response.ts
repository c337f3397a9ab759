import type { IncomingMessage, OutgoingHttpHeader, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import vary from 'vary';

/** The session of a request, as its response sees it. */
export interface ResponseSession {
  /** Node's own methods, or what a middleware put in their place, where ours are on this one response. */
  original: ResponseMethods | undefined;
  /** Calls that wait for a save. Undefined: nothing waits. */
  held: HeldCall[] | undefined;
  /** While the end of the response waits: brings back its head, which a second answer has changed. */
  restoreHead: (() => void) | undefined;
  /** The session was saved for the head of the response, and for its end. */
  isHeadSettled: boolean;
  isEndSettled: boolean;
  /** Saves what has changed; undefined where nothing has. */
  settle(): Promise<void> | undefined;
  /** Adds the cookie and `Vary` to the head that leaves now. */
  completeHead(response: ServerResponse, args: unknown[]): void;
  /** The save failed before anything of the response had left: an error has to be sent instead. */
  refuse(error: unknown, response: ServerResponse): void;
  /** The response is cut off, because it has begun and cannot become an error any more. */
  cutOff(error: unknown, response: ServerResponse): void;
  /** The client left before the response had ended. */
  abandon(): void;
}

type Method = (this: ServerResponse, ...args: unknown[]) => unknown;
type Name = 'writeHead' | 'write' | 'end' | 'flushHeaders';
export type ResponseMethods = Readonly<Record<Name, Method>>;
interface HeldCall {
  readonly method: Method;
  readonly args: unknown[];
}

/**
 * On Node's own request, which middleware, wrappers of frameworks and sub-applications share. A WeakMap would do the same, but V8 frees
 * its entries only with a full collection: each request would outlive many cheap ones and make them dear.
 */
const SESSION = Symbol('server-session.session');

type Request = IncomingMessage & { [SESSION]?: ResponseSession };

/** Marks a prototype whose responses have the methods below already. */
const INSTALLED = Symbol('server-session.installed');

/** The session of a request, if any part of the request has asked for it. */
export function sessionOfRequest<T extends ResponseSession>(rawRequest: IncomingMessage): T | undefined {
  return (rawRequest as Request)[SESSION] as T | undefined;
}

export function keepSession(rawRequest: IncomingMessage, session: ResponseSession): void {
  // Not enumerable: a logger that prints the request must not come upon it.
  Object.defineProperty(rawRequest, SESSION, { value: session, configurable: true });
}

/**
 * Commits the session of a request as its response leaves, whatever writes it: a middleware, a guard, `@Res()`, a stream. The first
 * byte waits until the session is saved, so that the head can carry its cookie and can still become an error; the end waits for
 * what was changed later. Where nothing is to save, every call goes through at once.
 *
 * @param isFinal false where a framework may still exchange the prototype of the response; the methods are then put on the
 *   response itself.
 */
export function commitOnResponse(session: ResponseSession, response: ServerResponse, isFinal: boolean, isAgain = false): void {
  if (!isFinal || !(INSTALLED in response)) {
    const { writeHead, write, end, flushHeaders } = response;
    session.original = { writeHead, write, end, flushHeaders } as ResponseMethods;
    Object.assign(response, OWN_METHODS);
  }
  if (!isAgain) response.on('close', onClose);
}

/** Gives the methods to all responses of an Express application: on each of them they would cost 5 µs a request. */
export function installOnPrototype(prototype: object): void {
  if (Object.hasOwn(prototype, INSTALLED)) return;
  const { writeHead, write, end, flushHeaders } = prototype as ServerResponse;
  const inherited = { writeHead, write, end, flushHeaders } as ResponseMethods;
  Object.assign(
    prototype,
    methodsOver(() => inherited),
    { [INSTALLED]: true },
  );
}

const OWN_METHODS = methodsOver((response) => sessionOfRequest(response.req)!.original!);

function methodsOver(originalOf: (response: ServerResponse) => ResponseMethods): ResponseMethods {
  const writeHead: Method = function (...args) {
    const session = sessionOfRequest(this.req);
    if (session !== undefined) {
      if (mustWait(session, this, false, writeHead, args)) return this;
      session.completeHead(this, args);
    }
    return originalOf(this).writeHead.apply(this, args);
  };
  const passOn = (name: Name): Method => {
    const method: Method = function (...args) {
      const session = sessionOfRequest(this.req);
      // Streams go on when a `write` that returned false is followed by 'drain'.
      if (session !== undefined && mustWait(session, this, name === 'end', method, args)) return name === 'write' ? false : this;
      return originalOf(this)[name].apply(this, args);
    };
    return method;
  };
  return { writeHead, write: passOn('write'), end: passOn('end'), flushHeaders: passOn('flushHeaders') };
}

function mustWait(session: ResponseSession, response: ServerResponse, isEnd: boolean, method: Method, args: unknown[]): boolean {
  if (session.held === undefined) {
    if (isEnd ? session.isEndSettled : session.isHeadSettled) return false;
    session.isHeadSettled = true;
    if (isEnd) session.isEndSettled = true;
    const saving = session.settle();
    if (saving === undefined) return false;
    session.held = [];
    saving
      .then(
        () => release(session, response),
        (error: unknown) => fail(session, response, error),
      )
      // What Node refuses, a header for instance, it would have thrown at the caller of the held method.
      .catch((error: unknown) => session.cutOff(error, response));
  }
  // What comes after the end is another answer to the same request.
  if (session.restoreHead !== undefined) {
    session.restoreHead();
    return true;
  }
  session.held.push({ method, args });
  pretend(response, 'headersSent');
  if (isEnd) {
    pretend(response, 'writableEnded');
    session.restoreHead = keepHead(response);
  }
  return true;
}

/** Makes the held calls, in their order; each may have to wait again. */
function release(session: ResponseSession, response: ServerResponse): void {
  const calls = session.held ?? [];
  stopWaiting(session, response);
  for (const { method, args } of calls) method.apply(response, args);
  if (session.held === undefined && !response.writableNeedDrain) response.emit('drain');
}

function fail(session: ResponseSession, response: ServerResponse, error: unknown): void {
  stopWaiting(session, response);
  if (response.headersSent) session.cutOff(error, response);
  else session.refuse(error, response);
}

/** Frameworks and filters look at these before they send another response: a handler that answers and then throws, for instance. */
function pretend(response: ServerResponse, property: 'headersSent' | 'writableEnded'): void {
  Object.defineProperty(response, property, { value: true, configurable: true });
}

function stopWaiting(session: ResponseSession, response: ServerResponse): void {
  session.held = undefined;
  Reflect.deleteProperty(response, 'headersSent');
  Reflect.deleteProperty(response, 'writableEnded');
  session.restoreHead = undefined;
}

function onClose(this: ServerResponse): void {
  const session = sessionOfRequest(this.req);
  if (session !== undefined && !session.isEndSettled) session.abandon();
}

/** What the session adds to the head of a response. */
export interface HeadHeaders {
  readonly setCookie: string | undefined;
  /** Headers of the session's own, by name. */
  readonly own: Readonly<Record<string, string>> | undefined;
  /** The request headers that the response depends on. */
  readonly vary: string;
  /** The response header that scripts of other origins may read. */
  readonly expose: string | undefined;
}

/**
 * Adds headers to a head that is about to leave. Headers given to `writeHead` itself take the place of those set before, so they
 * are all set on the response first, and `writeHead` is called without them.
 *
 * @param args of `writeHead(status, [message], [headers])`; changed.
 * @param clearingCookies more `Set-Cookie` values.
 */
export function addToHead(
  response: ServerResponse,
  args: unknown[],
  { setCookie, own, vary: field, expose }: HeadHeaders,
  clearingCookies: readonly string[] = [],
): void {
  const given = args.findIndex((argument) => typeof argument === 'object' && argument !== null);
  if (given >= 0) setAll(response, args.splice(given)[0] as OutgoingHttpHeaders | OutgoingHttpHeader[]);
  if (setCookie !== undefined) response.appendHeader('Set-Cookie', setCookie);
  for (const cookie of clearingCookies) response.appendHeader('Set-Cookie', cookie);
  for (const name in own) response.setHeader(name, own[name]!);
  response.setHeader('Vary', appended(response, 'Vary', field));
  if (expose !== undefined)
    response.setHeader('Access-Control-Expose-Headers', appended(response, 'Access-Control-Expose-Headers', expose));
}

/** Node's response, or Fastify's reply. */
interface Head {
  statusCode: number;
  getHeaders(): OutgoingHttpHeaders;
  removeHeader(name: string): unknown;
  setHeader?(name: string, value: OutgoingHttpHeader): unknown;
  header?(name: string, value: OutgoingHttpHeader): unknown;
}

/**
 * Remembers a head while its response waits for a save. A handler may answer and then throw, and filters often answer without a look at
 * `headersSent`: the first answer goes out as it was.
 *
 * @returns what brings the head back.
 */
export function keepHead(head: Head): () => void {
  const { statusCode } = head;
  const headers = { ...head.getHeaders() };
  return () => {
    head.statusCode = statusCode;
    for (const name in head.getHeaders()) head.removeHeader(name);
    for (const name in headers) (head.header ?? head.setHeader)!.call(head, name, headers[name]!);
  };
}

/** Removes what describes a body that another one takes the place of. All other headers (CORS, security policies …) stay. */
export function dropBodyHeaders(head: Pick<Head, 'getHeaders' | 'removeHeader'>): void {
  for (const name in head.getHeaders()) if (OF_BODY.test(name)) head.removeHeader(name);
}

const OF_BODY =
  /^(content-(type|length|encoding|disposition|range|language|location)|transfer-encoding|etag|last-modified|location|accept-ranges|cache-control|expires)$/i;

function appended(response: ServerResponse, name: string, field: string): string {
  const there = response.getHeader(name);
  return there === undefined || there === '' ? field : vary.append([there].flat().join(', '), field);
}

/** The forms that `writeHead` takes: an object, a flat list, a list of pairs. Names in a list may repeat. */
function setAll(response: ServerResponse, headers: OutgoingHttpHeaders | OutgoingHttpHeader[]): void {
  if (!Array.isArray(headers)) {
    for (const name in headers) if (headers[name] !== undefined) response.setHeader(name, headers[name]);
    return;
  }
  const flat = headers.every((entry) => Array.isArray(entry)) ? headers.flat() : (headers as (string | number)[]);
  const names = flat.filter((_, index) => index % 2 === 0).map(String);
  for (const name of names) response.removeHeader(name);
  for (const [index, name] of names.entries()) response.appendHeader(name, [flat[2 * index + 1] ?? ''].flat().map(String));
}
