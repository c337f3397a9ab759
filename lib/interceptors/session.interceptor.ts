import { type CallHandler, type ExecutionContext, Injectable, type NestInterceptor } from '@nestjs/common';
import { concatMap, defer, from, map, type Observable, of, switchMap, tap } from 'rxjs';
import { HandlerUsages } from '../http/handler-usage.js';
import type { RequestSession } from '../http/request-session.js';
import { RequestSessions } from '../http/request-sessions.js';

/**
 * Loads the session before a handler that uses it, and saves what changed before each value the handler gives goes on, so
 * that an error of the save goes through the application's filters. What changes later, or past this interceptor, is saved
 * by the gate of the response.
 */
@Injectable()
export class SessionInterceptor implements NestInterceptor {
  private readonly usages = new HandlerUsages();

  constructor(private readonly sessions: RequestSessions) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const { usesSession, sendsEvents } = this.usages.of(context);
    const session = usesSession ? this.sessions.open(context) : this.sessions.find(context);
    if (session === undefined) return next.handle();
    if (sendsEvents) session.awaitFirstEvent();
    const loaded = session.load();
    if (!(loaded instanceof Promise)) return saving(session, next.handle());
    return from(loaded).pipe(switchMap(() => saving(session, next.handle())));
  }
}

/** Every value waits until what changed before it is stored. */
function saving(session: RequestSession, values: Observable<unknown>): Observable<unknown> {
  return values.pipe(
    concatMap((value) => (session.isSettled() ? of(value) : defer(() => from(session.commit())).pipe(map(() => value)))),
    tap({ next: () => session.begin(), error: () => session.begin(), complete: () => session.begin() }),
  );
}
