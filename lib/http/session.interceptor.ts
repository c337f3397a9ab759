import { type CallHandler, type ExecutionContext, Injectable, type NestInterceptor } from '@nestjs/common';
import type { DiscoveryService, MetadataScanner } from '@nestjs/core';
import { from, type Observable, switchMap } from 'rxjs';
import { type Handler, readsRequestSession } from './handler-usage.js';
import { RequestSessions } from './request-sessions.js';

/**
 * Loads the session before a handler that may read `req.session`. (`@Session()` loads it itself, and what changed is saved by
 * the gate of the response, whoever loaded it.)
 */
@Injectable()
export class SessionInterceptor implements NestInterceptor {
  private readonly usages = new WeakMap<object, boolean>();

  constructor(private readonly sessions: RequestSessions) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const session = this.isNeeded(context) ? this.sessions.open(context)?.load() : undefined;
    return session instanceof Promise ? from(session).pipe(switchMap(() => next.handle())) : next.handle();
  }

  private isNeeded(context: ExecutionContext): boolean {
    const handler = context.getHandler();
    let needed = this.usages.get(handler);
    if (needed === undefined) this.usages.set(handler, (needed = readsRequestSession(context.getClass(), handler as Handler)));
    return needed;
  }
}

/**
 * Whether any handler of the application needs the interceptor. Where none does there is none: an interceptor that only passes
 * on costs every route of the application more than this module does otherwise.
 */
export function needsInterceptor(discovery: DiscoveryService, scanner: MetadataScanner): boolean {
  return discovery.getControllers().some(({ metatype }) => {
    if (typeof metatype !== 'function') return false;
    const prototype = metatype.prototype as Record<string, unknown>;
    return scanner.getAllMethodNames(prototype).some((name) => {
      const handler = prototype[name];
      return typeof handler === 'function' && readsRequestSession(metatype as never, handler as Handler);
    });
  });
}
