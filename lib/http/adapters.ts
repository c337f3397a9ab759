import { type ExecutionContext } from '@nestjs/common';
import { SessionLogger } from '../common/session-logger.js';
import type { HttpAdapterHost } from '@nestjs/core';
import type { IncomingMessage, OutgoingHttpHeader, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { inspect } from 'node:util';
import { dropBodyHeaders, installOnPrototype, keepHead, sessionOfRequest } from './commit-on-response.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import type { RequestSession, RequestSessions } from './request-session.js';

/** A request as Express, Fastify or Node has it. */
export type HttpRequest = IncomingMessage & {
  /** Fastify: Node's request. */
  raw?: HttpRequest;
  /** Express: the response. */
  res?: ServerResponse;
  /** Fastify: the instance that the route belongs to. */
  server?: object;
  /** Express: the way to the next error handler. */
  next?: (error: unknown) => void;
  protocol?: string;
  session?: unknown;
  sessionID?: unknown;
};

/** Where a request comes from, and where its response goes. */
export interface Exchange {
  /** As the application sees it: Express' request, or Fastify's wrapper. In middleware on Fastify it is Node's. */
  readonly request: HttpRequest;
  readonly raw: HttpRequest;
  /** Undefined where nothing can be told to the client any more (a socket), or where it is not known yet. */
  readonly response: ServerResponse | undefined;
  /** What shares one session where no response does: one message of a socket, one operation of a subscription. */
  readonly message: object | undefined;
  /** What a client of socket.io gave for its handshake. */
  readonly auth?: Readonly<Record<string, unknown>> | undefined;
}

/** Where a framework's instance and a server hold the sessions of their application. */
const APPLICATION = Symbol('server-session.application');
/** Fastify does not link Node's request with its response, as Express does. */
const RESPONSE = Symbol('server-session.response');

type Holder = object & { [APPLICATION]?: RequestSessions };
type Linked = HttpRequest & { [RESPONSE]?: ServerResponse };

interface FastifyReply {
  readonly raw: ServerResponse;
  statusCode: number;
  getHeaders(): OutgoingHttpHeaders;
  removeHeader(name: string): unknown;
  header(name: string, value: OutgoingHttpHeader): unknown;
}
/** Fastify's instance, as far as it is used here. */
interface FastifyLike extends Holder {
  decorateRequest(name: string, accessor: { getter(this: HttpRequest): unknown; setter(this: HttpRequest, value: unknown): void }): void;
  addHook(
    name: 'onSend',
    hook: (request: HttpRequest, reply: FastifyReply, payload: unknown, proceed: (error?: unknown) => void) => void,
  ): void;
}
/** Express' application: the prototypes of its requests and responses. */
interface ExpressLike extends Holder {
  readonly request: Holder;
  readonly response: object;
}

/**
 * Lets the framework's requests find the sessions of their application. The adapter may be there before this module (an application) or
 * after it (a testing module).
 *
 * @param earlyLoad the option: which requests get their session before any middleware runs.
 */
export function connectAdapter(host: HttpAdapterHost, sessions: RequestSessions, earlyLoad: ResolvedSessionOptions['earlyLoad']): void {
  host.init$.subscribe(() => {
    // Null in an application context, which has no server.
    const adapter = host.httpAdapter as HttpAdapterHost['httpAdapter'] | null | undefined;
    if (adapter == null) return;
    const framework = adapter.getInstance<ExpressLike & FastifyLike>();
    framework[APPLICATION] = sessions;
    if (adapter.getType() === 'fastify') {
      (adapter.getHttpServer() as NodeJS.EventEmitter).prependListener('request', linkResponse);
      if (earlyLoad !== false)
        for (const [name, { get, set }] of Object.entries(ACCESSORS)) framework.decorateRequest(name, { getter: get, setter: set });
    } else if (framework.response !== undefined) {
      installOnPrototype(framework.response);
      framework.request[APPLICATION] = sessions;
      for (const [name, accessor] of Object.entries(ACCESSORS)) Object.defineProperty(framework.request, name, accessor);
    }
    if (earlyLoad !== false) adapter.use(loadEarly(sessions, earlyLoad));
  });
}

/** The part of it that needs the server, and the application's own hooks: ours must come after them. */
export function connectServer(host: HttpAdapterHost, sessions: RequestSessions): void {
  const adapter = host.httpAdapter as HttpAdapterHost['httpAdapter'] | null | undefined;
  const server = adapter?.getHttpServer() as (Holder & NodeJS.EventEmitter) | undefined;
  if (adapter == null || server === undefined) return;
  server[APPLICATION] = sessions;
  // Only beside gateways: a listener alone would make Node give us the sockets of all upgrade requests.
  if (server.listenerCount('upgrade') > 0) server.prependListener('upgrade', noteUpgrade);
  if (adapter.getType() === 'fastify') adapter.getInstance<FastifyLike>().addHook('onSend', commitOnSend);
}

/** The sessions of the application that a request came to. */
export function applicationOf({ request, raw }: Exchange): RequestSessions | undefined {
  const socket = raw.socket as { server?: Holder } | undefined;
  return (request as Holder)[APPLICATION] ?? (request.server as Holder | undefined)?.[APPLICATION] ?? socket?.server?.[APPLICATION];
}

/**
 * What a guard, a middleware, a resolver or a gateway has at hand.
 *
 * @throws TypeError naming what was given, where there is no request in it.
 */
export function exchangeOf(source: unknown): Exchange {
  if (isExecutionContext(source)) return exchangeOfContext(source);
  const exchange = exchangeIn(source);
  if (exchange === undefined)
    throw new TypeError(`[ServerSession] load() needs a request or an execution context, and was given ${named(source)}`);
  return exchange;
}

function exchangeOfContext(context: ExecutionContext): Exchange {
  const type = context.getType<string>();
  let exchange: Exchange | undefined;
  if (type === 'http') exchange = exchangeIn(context.getArgByIndex(0), undefined, context.getArgByIndex(1));
  if (type === 'ws') exchange = exchangeIn(context.getArgByIndex(0), context.getArgs());
  if (type === 'graphql') {
    const graph = context.getArgByIndex<GraphContext | undefined>(2);
    for (const place of [graph?.req, graph?.request, graph?.reply?.request, graph?.req?.extra?.request])
      exchange ??= exchangeIn(place, graph);
  }
  if (exchange !== undefined) return exchange;
  throw new TypeError(
    `[ServerSession] the '${type}' context of ${context.getClass().name}.${context.getHandler().name} has no request, so it has no session`,
  );
}

/** Where the GraphQL packages put the request: Apollo, Mercurius, and both for subscriptions over graphql-ws. */
interface GraphContext {
  readonly req?: { readonly extra?: { readonly request?: unknown } };
  readonly request?: unknown;
  readonly reply?: { readonly request?: unknown };
}

/** A client of socket.io has the request of its handshake; one of ws has only the socket. */
interface SocketClient {
  readonly handshake?: { readonly auth?: Readonly<Record<string, unknown>> };
  readonly request?: HttpRequest;
  readonly _socket?: object;
}

/** The upgrade requests, by their sockets. Where a gateway of ws has a port of its own, it has to load the session in `handleConnection`. */
const UPGRADES = new WeakMap<object, HttpRequest>();

/** @param message what shares a session where the request is one that opened a socket. @param response as the context has it. */
function exchangeIn(source: unknown, message?: object, response?: ServerResponse & { raw?: ServerResponse }): Exchange | undefined {
  if (typeof source !== 'object' || source === null) return undefined;
  const { handshake, request, _socket } = source as SocketClient;
  if (handshake !== undefined && request !== undefined) return { ...overSocket(request, message), auth: handshake.auth };
  if (_socket !== undefined) return UPGRADES.has(_socket) ? overSocket(UPGRADES.get(_socket)!, message) : undefined;
  const inner = innerOf(source as HttpRequest);
  if (typeof inner.headers !== 'object') return undefined;
  if (inner.headers.upgrade !== undefined && responseOf(inner) === undefined) {
    noteUpgrade(inner);
    return overSocket(inner, message);
  }
  const rawResponse = response?.raw ?? response ?? responseOf(inner);
  return { request: source as HttpRequest, raw: rawResponse?.req ?? inner, response: rawResponse, message: undefined };
}

function noteUpgrade(request: HttpRequest): void {
  if (request.socket !== undefined) UPGRADES.set(request.socket, request);
}

function overSocket(request: HttpRequest, message: object = {}): Exchange {
  return { request, raw: request, response: undefined, message };
}

function innerOf(request: HttpRequest): Linked {
  return request.raw ?? request;
}

/** Fastify listens on two addresses of localhost, and only one of its servers is known: hence the look at the socket. */
function responseOf(inner: Linked): ServerResponse | undefined {
  const linked = inner.res ?? inner[RESPONSE];
  if (linked !== undefined) return linked;
  const { _httpMessage: current } = (inner.socket as { _httpMessage?: ServerResponse } | undefined) ?? {};
  return current?.req === inner ? current : undefined;
}

/** Node's own request. A middleware may have put a proxy around it; its response knows the real one. */
function rawOf(request: HttpRequest): HttpRequest {
  const inner = innerOf(request);
  return responseOf(inner)?.req ?? inner;
}

function linkResponse(rawRequest: Linked, response: ServerResponse): void {
  rawRequest[RESPONSE] = response;
}

/** Fastify waits for this before it writes the head; an error goes to the application's filters. */
function commitOnSend(request: HttpRequest, reply: FastifyReply, payload: unknown, proceed: (error?: unknown) => void): void {
  const session = sessionOfRequest<RequestSession>(request.raw!);
  if (session === undefined) return proceed();
  if (session.restoreHead !== undefined) return session.restoreHead();
  session.meet({ request, raw: request.raw!, response: reply.raw, message: undefined }, true);
  const saving = session.settle();
  session.isHeadSettled = true;
  // What is sent at once can change nothing any more; a stream can.
  if (payload === undefined || payload === null || typeof payload === 'string' || Buffer.isBuffer(payload)) session.isEndSettled = true;
  if (saving === undefined) return proceed();
  session.restoreHead = keepHead(reply);
  saving
    .catch((error: unknown) => {
      dropBodyHeaders(reply);
      return session.failWith(error);
    })
    .then((error) => {
      session.restoreHead = undefined;
      proceed(error);
    });
}

function loadEarly(sessions: RequestSessions, wanted: Exclude<ResolvedSessionOptions['earlyLoad'], false>) {
  return (request: HttpRequest, _response: unknown, proceed: (error?: unknown) => void): void => {
    const isWanted = wanted === true || wanted(request);
    const session = isWanted ? sessions.open(exchangeOf(request), false).load() : undefined;
    if (session instanceof Promise) session.then(() => proceed(), proceed);
    else proceed();
  };
}

interface Accessor extends PropertyDescriptor {
  get(this: HttpRequest): unknown;
  set(this: HttpRequest, value: unknown): void;
}

/** `req.session` and `req.sessionID` for all requests of an application at once; what another library sets stands in front of them. */
export const ACCESSORS: Record<'session' | 'sessionID', Accessor> = { session: accessorOf('session'), sessionID: accessorOf('sessionID') };

function accessorOf(name: 'session' | 'sessionID'): Accessor {
  return {
    configurable: true,
    get() {
      const session = sessionOfRequest<RequestSession>(rawOf(this))?.loaded;
      if (name === 'sessionID') return session?.sid;
      if (session === undefined && !hasAdvisedEarlyLoad) adviseEarlyLoad(this);
      return session;
    },
    set(value) {
      Object.defineProperty(this, name, { value, writable: true, enumerable: true, configurable: true });
    },
  };
}

const logger = new SessionLogger();
let hasAdvisedEarlyLoad = false;

/**
 * A middleware that finds no `req.session` most often needs the option `earlyLoad`. But it may be another session library that looks
 * whether one is there, so the response is waited for.
 */
function adviseEarlyLoad(request: HttpRequest): void {
  hasAdvisedEarlyLoad = true;
  request.res?.once('close', () => {
    if (request.session !== undefined) return;
    logger.warn(
      'something read req.session before the session was loaded, as Passport does in its middleware: for such libraries set the option ' +
        "'earlyLoad' to true",
    );
  });
}

function isExecutionContext(source: unknown): source is ExecutionContext {
  return typeof source === 'object' && source !== null && 'switchToHttp' in source && 'getType' in source;
}

function named(source: unknown): string {
  if (typeof source !== 'object' || source === null) return inspect(source);
  return `an object of ${source.constructor?.name ?? 'no class'} without headers`;
}

/** Whether the request came over https, behind proxies as far as the adapter trusts them. */
export function isSecure(request: HttpRequest, raw: HttpRequest): boolean {
  const protocol = request.protocol ?? raw.protocol;
  if (protocol !== undefined) return protocol === 'https';
  return 'encrypted' in raw.socket && raw.socket.encrypted === true;
}
