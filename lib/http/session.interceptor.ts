import { type CallHandler, type CanActivate, type ExecutionContext, Injectable, type NestInterceptor } from '@nestjs/common';
import { AsyncLocalStorage } from 'node:async_hooks';
import { concatMap, from, map, Observable, of, type Subscriber } from 'rxjs';
import type { ServerSession } from '../session/server-session.js';
import { applicationOf, exchangeOf } from './adapters.js';
import { type RequestSession, type RequestSessions, report } from './request-session.js';

/** The session of the message that a gateway handles: parameter decorators see neither the guard's context nor the interceptor's. */
const OVER_SOCKET = new AsyncLocalStorage<RequestSession>();

/** The sessions of gateways and resolvers, by class: a gateway may have a server of its own. */
const APPLICATIONS = new WeakMap<object, RequestSessions>();

export function keepApplication(provider: object, sessions: RequestSessions): void {
  APPLICATIONS.set(provider, sessions);
}

/**
 * Loads the session before a handler and commits it after, so that an error of the save is an error of the handler. Stateless: it finds
 * the sessions of its application through the request, and nothing has to be provided where a controller is tested alone.
 */
@Injectable()
export class SessionInterceptor implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> | Promise<Observable<unknown>> {
    const session = sessionOfContext(context);
    const loaded = session.load();
    return loaded instanceof Promise ? loaded.then(() => handle(session, context, next)) : handle(session, context, next);
  }
}

/**
 * Loads the session for a handler that answers by itself, with `@Res()` or `@Sse()`: its response may leave before an interceptor is done, so
 * the response commits.
 */
@Injectable()
export class SessionLoadingGuard implements CanActivate {
  canActivate(context: ExecutionContext): true | Promise<true> {
    const loaded = sessionOfContext(context, false).load();
    return loaded instanceof Promise ? loaded.then(() => true) : true;
  }
}

/**
 * @param isFinal whether nothing can come between the handler and its response.
 * @throws Error where the application has no sessions.
 */
export function sessionOfContext(context: ExecutionContext, isFinal = true): RequestSession {
  const current = context.getType() === 'ws' ? OVER_SOCKET.getStore() : undefined;
  if (current !== undefined) return current;
  const exchange = exchangeOf(context);
  const sessions = applicationOf(exchange) ?? APPLICATIONS.get(context.getClass());
  if (sessions === undefined) {
    throw new Error(
      `[ServerSession] ${context.getClass().name}.${context.getHandler().name} uses the session, but its application does not import ` +
        'ServerSessionModule; add ServerSessionModule.forRoot({ … }) to the root module',
    );
  }
  return sessions.open(exchange, isFinal);
}

/** What `@Session()` injects. The interceptor has loaded the session before parameters are looked up. */
export function sessionParameter(key: string | undefined, context: ExecutionContext): unknown {
  const session = sessionOfContext(context).load();
  if (key === undefined) return session;
  return session instanceof Promise ? session.then((loaded) => valueOf(loaded, key)) : valueOf(session, key);
}

function valueOf(session: ServerSession, key: string): unknown {
  return session.get(key);
}

function handle(session: RequestSession, context: ExecutionContext, next: CallHandler): Observable<unknown> {
  if (session.isOverSocket) return OVER_SOCKET.run(session, () => next.handle().pipe(concatMap((value) => afterCommit(session, value))));
  // The fields of one operation run side by side: its response commits once, for all of them.
  if (context.getType<string>() === 'graphql') return next.handle();
  return new Observable((subscriber) => new CommitObserver(session, subscriber).observe(next.handle()));
}

function afterCommit(session: RequestSession, value: unknown): Observable<unknown> {
  const saving = session.settle();
  return saving === undefined ? of(value) : from(saving).pipe(map(() => value));
}

/** Nest sends the last value of a handler: it passes when the session is saved. What the handler changed before it failed is saved, too. */
class CommitObserver {
  private last: unknown = undefined;
  private hasValue = false;
  private isDone = false;

  constructor(
    private readonly session: RequestSession,
    private readonly subscriber: Subscriber<unknown>,
  ) {}

  /** @returns what runs when the handler is done, or when the client has left before. */
  observe(source: Observable<unknown>): () => void {
    const subscription = source.subscribe(this);
    return () => {
      if (this.isDone) return;
      subscription.unsubscribe();
      this.session.settle()?.catch(report);
    };
  }

  next(value: unknown): void {
    this.last = value;
    this.hasValue = true;
  }

  complete(): void {
    this.finish(false);
  }

  error(reason: unknown): void {
    this.finish(true, reason);
  }

  private finish(hasThrown: boolean, reason?: unknown): void {
    this.isDone = true;
    const saving = this.session.settleForHandler();
    if (saving === undefined) this.pass(hasThrown, reason);
    else
      saving.then(
        () => this.pass(hasThrown, reason),
        (failure: unknown) => {
          // The client learns of the save that failed. So the error of the handler is logged.
          if (hasThrown) report(reason);
          this.subscriber.error(this.session.failWith(failure));
        },
      );
  }

  private pass(hasThrown: boolean, reason: unknown): void {
    if (hasThrown) return this.subscriber.error(reason);
    if (this.hasValue) this.subscriber.next(this.last);
    this.subscriber.complete();
  }
}
