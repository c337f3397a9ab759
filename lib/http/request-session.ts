import { HttpException, Inject, Injectable } from '@nestjs/common';
import { SessionLogger } from '../common/session-logger.js';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { SessionHeadersSentError } from '../errors.js';
import { RESOLVED_OPTIONS, type ResolvedSessionOptions } from '../options/resolved-options.js';
import { type ServerSession, toServerSession } from '../session/server-session.js';
import { SessionAdoption } from '../interop/session-adoption.js';
import { SessionManager } from '../session/session-manager.js';
import type { SessionExchange, SessionState } from '../session/session-state.js';
import { ACCESSORS, type Exchange, type HttpRequest } from './adapters.js';
import {
  addToHead,
  commitOnResponse,
  dropBodyHeaders,
  keepSession,
  type ResponseMethods,
  type ResponseSession,
  sessionOfRequest,
} from './commit-on-response.js';
import { NO_IDS, type RequestIds, SessionTransport } from './session-transport.js';

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

const logger = new SessionLogger();

/** The sessions of an application's requests. */
@Injectable()
export class RequestSessions {
  private readonly logger = new SessionLogger();
  /** Undefined where the application has no former sessions. */
  readonly adoption: SessionAdoption | undefined;

  constructor(
    readonly manager: SessionManager,
    readonly transport: SessionTransport,
    adoption: SessionAdoption,
    @Inject(RESOLVED_OPTIONS) { adopt }: ResolvedSessionOptions,
  ) {
    this.adoption = adopt.length === 0 ? undefined : adoption;
  }

  /**
   * The session of a request: the same one for all who ask.
   *
   * @param isFinal whether the request has arrived at its handler, so that no framework exchanges its prototype any more.
   */
  open(exchange: Exchange, isFinal: boolean): RequestSession {
    // A socket outlives many messages: each reads its session anew.
    const key = (exchange.message ?? exchange.raw) as IncomingMessage;
    let session = sessionOfRequest<RequestSession>(key);
    if (session === undefined || session.sessions !== this) {
      session = new RequestSession(exchange, this);
      keepSession(key, session);
    }
    session.meet(exchange, isFinal);
    return session;
  }

  tellOfForeignSession(): void {
    this.logger.once(
      'log',
      'req.session',
      'req.session belongs to another library, so it stays as it is; ours is there by @Session() and SessionService.load()',
    );
  }
}

const NO_COOKIES: readonly string[] = [];

/** The session of one request: loaded once, and committed before the response ends. */
export class RequestSession implements ResponseSession, SessionExchange {
  original: ResponseMethods | undefined = undefined;
  held: ResponseSession['held'] = undefined;
  restoreHead: ResponseSession['restoreHead'] = undefined;
  isHeadSettled = false;
  isEndSettled = false;

  /** As the application sees it. */
  request: HttpRequest;
  private readonly raw: HttpRequest;
  /** Requests whose `req.session` is this one. Another library's may be set to null without an effect on ours. */
  private readonly shownOn: HttpRequest[] = [];
  /** The response commits. */
  private isCommitted = false;
  /** Nothing can be told to the client: the session belongs to a message of a socket. */
  readonly isOverSocket: boolean;
  private readonly ids: RequestIds;
  private loading: Promise<ServerSession> | undefined = undefined;
  /** The session, once it is loaded. */
  loaded: ServerSession | undefined = undefined;
  private state: SessionState | undefined = undefined;
  /** The id that the client has, as far as this response knows. */
  sentId: string | undefined = undefined;
  isHeadSent: boolean;
  /** `Set-Cookie` values that end the cookies of former systems. */
  private clearingCookies: readonly string[] = NO_COOKIES;
  /** A save failed and its error is on the way to the client: nothing is tried again, and no cookie is set. */
  private hasFailed = false;

  constructor(
    exchange: Exchange,
    readonly sessions: RequestSessions,
  ) {
    this.request = exchange.request;
    this.raw = exchange.raw;
    this.isOverSocket = this.isHeadSent = exchange.message !== undefined;
    this.ids = sessions.manager.keepsSessions ? sessions.transport.read(exchange) : NO_IDS;
  }

  /** A middleware may have come before the response, or the framework's own request, was known. */
  meet({ request, response }: Exchange, isFinal: boolean): void {
    if (response !== undefined && (!this.isCommitted || !(isFinal || this.original !== undefined))) {
      commitOnResponse(this, response, isFinal, this.isCommitted);
      this.isCommitted = true;
    }
    if (request === this.request || request === this.raw) return;
    this.request = request;
    if (this.loaded !== undefined) this.showOn(request, this.loaded);
  }

  /** The session, at once where no store has to be asked. */
  load(): ServerSession | Promise<ServerSession> {
    if (this.loaded !== undefined) return this.loaded;
    if (this.ids.ids.length === 0 && this.formerCookies === undefined) return this.adopt(this.blank());
    return (this.loading ??= this.loadFromStore());
  }

  private blank(): SessionState {
    // No id can be sent over a socket, so no session can begin there.
    return this.sessions.manager.blank(this.isOverSocket ? (operation) => new SessionHeadersSentError(operation) : undefined);
  }

  private async loadFromStore(): Promise<ServerSession> {
    try {
      const former = this.formerCookies;
      const state = await this.sessions.manager.load(this.ids.ids, former === undefined ? undefined : () => this.loadFormer(former));
      return this.adopt(this.isOverSocket && state.phase === 'new' ? this.blank() : state);
    } finally {
      this.loading = undefined;
    }
  }

  /** The request's cookies, where a session of a former system may be among them and the client can be told of ours. */
  private get formerCookies(): string | undefined {
    const { cookie } = this.raw.headers;
    const { adoption, manager } = this.sessions;
    return adoption?.concerns(cookie) && manager.keepsSessions && !this.isHeadSent ? cookie : undefined;
  }

  private async loadFormer(cookies: string): Promise<SessionState | undefined> {
    const adopted = await this.sessions.adoption?.adopt(cookies, this);
    if (adopted !== undefined) this.clearingCookies = adopted.clearingCookies;
    return adopted?.state;
  }

  async endOthers(): Promise<void> {
    const cookies = this.formerCookies;
    const { adoption } = this.sessions;
    if (adoption !== undefined && cookies !== undefined) this.clearingCookies = [...this.clearingCookies, ...(await adoption.end(cookies))];
  }

  private adopt(state: SessionState): ServerSession {
    const { manager } = this.sessions;
    this.state = state;
    if (state.phase === 'stored') {
      this.sentId = state.sid;
      if (this.ids.outdated.includes(state.sid)) state.sendCookie();
    }
    state.exchange = this;
    this.loaded = toServerSession(state, manager);
    if (!this.isOverSocket) {
      this.showOn(this.raw, this.loaded);
      if (this.request !== this.raw) this.showOn(this.request, this.loaded);
    }
    return this.loaded;
  }

  show(session: ServerSession): void {
    const former = this.loaded;
    this.loaded = session;
    for (const request of [this.request, this.raw]) if (request.session === former) request.session = session;
  }

  /** As `req.session`, unless another library has put its own there. */
  private showOn(request: HttpRequest, session: ServerSession): void {
    // The accessor of the application, where it has one, shows it already.
    if (request.session !== session) {
      const { value, get } = Object.getOwnPropertyDescriptor(request, 'session') ?? {};
      if (get !== undefined || (value !== undefined && value !== null)) return this.sessions.tellOfForeignSession();
      request.session = session;
      if (!('sessionID' in request)) Object.defineProperty(request, 'sessionID', ACCESSORS.sessionID);
    }
    this.shownOn.push(request);
  }

  settle(): Promise<void> | undefined {
    if (this.hasFailed) return undefined;
    if (this.loading === undefined) return this.state && this.commit(this.state);
    // The handler did not wait for the load. Where it failed, nothing can have been changed.
    return this.loading.then(
      () => this.settle(),
      () => undefined,
    );
  }

  /** As `settle`, for a handler that is done: a response that has begun is left to itself. */
  settleForHandler(): Promise<void> | undefined {
    return this.isHeadSettled ? undefined : this.settle();
  }

  private commit(state: SessionState): Promise<void> | undefined {
    const { manager } = this.sessions;
    try {
      if (this.shownOn.some(({ session }) => session === null)) {
        if (state.phase === 'new' && state.fields.isEmpty) return undefined;
        return manager.destroy(state);
      }
      if (this.isOverSocket && state.phase === 'new') return undefined;
      return manager.commitIfDirty(state);
    } catch (error) {
      // What cannot be serialized fails as what cannot be stored does.
      return Promise.reject(error as Error);
    }
  }

  completeHead(response: ServerResponse, args: unknown[]): void {
    if (this.isHeadSent) return;
    this.isHeadSent = true;
    const { state } = this;
    const isHidden = state === undefined || this.hasFailed || state.phase === 'ended' || state.phase === 'following';
    const change = isHidden ? 'none' : state.cookie;
    const { manager, transport } = this.sessions;
    let expiry: number | undefined;
    if (state !== undefined && change === 'set') {
      this.sentId = state.sid;
      expiry = manager.isPermanent(state) ? manager.expiryOf(state) : undefined;
    }
    const headers = transport.headersFor(this.request, this.raw, change, this.sentId, expiry);
    addToHead(response, args, headers, this.hasFailed ? NO_COOKIES : this.clearingCookies);
  }

  /** Remembers that a save failed. @returns the error, for the way to the client. */
  failWith<T>(error: T): T {
    this.hasFailed = true;
    return error;
  }

  refuse(error: unknown, response: ServerResponse): void {
    this.hasFailed = true;
    dropBodyHeaders(response);
    // The application's own filters answer, as they do for the errors of handlers.
    if (this.raw.next !== undefined) return this.raw.next(error);
    report(error);
    const exception = error instanceof HttpException ? error : undefined;
    const statusCode = exception?.getStatus() ?? 500;
    response.writeHead(statusCode, { 'Content-Type': 'application/json; charset=utf-8' });
    response.end(JSON.stringify(exception?.getResponse() ?? { statusCode, message: 'Internal server error' }));
  }

  cutOff(error: unknown, response: ServerResponse): void {
    this.hasFailed = true;
    report(error);
    response.destroy();
  }

  abandon(): void {
    this.isEndSettled = true;
    this.settle()?.catch(report);
  }
}

/** Logs an error that no client gets to see. */
export function report(error: unknown): void {
  logger.error(String(error instanceof Error ? (error.stack ?? error.message) : error));
}
