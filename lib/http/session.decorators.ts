import { createParamDecorator, type ExecutionContext, type PipeTransform, type Type } from '@nestjs/common';
import { loadsItself } from './handler-usage.js';
import { toHttpExchange } from './http-exchange.js';
import { requestSessionsOf } from './http-bridge.js';
import type { ServerSession } from '../session/server-session.js';

/**
 * Nest waits for the promise of a parameter decorator, so the session is loaded exactly for the handlers that take it, and no
 * interceptor stands in the way of the others.
 */
const loadSession = loadsItself((key: string | undefined, context: ExecutionContext): unknown => {
  const exchange = toHttpExchange(context);
  const session = exchange && requestSessionsOf(exchange)?.openExchange(exchange).load();
  if (key === undefined || session === undefined) return session;
  return session instanceof Promise ? session.then((loaded) => valueOf(loaded, key)) : valueOf(session, key);
});

function valueOf(session: ServerSession, key: string): unknown {
  return session.get(key);
}

/** Spelled out, because what TypeScript infers names types that Nest 11 does not have. */
type SessionDecorator = (
  key?: string | PipeTransform | Type<PipeTransform>,
  ...pipes: (PipeTransform | Type<PipeTransform>)[]
) => ParameterDecorator;

/**
 * Injects the session of the request: `@Session() session: ServerSession`; or one value of its data:
 * `@Session('cart') cart = []`.
 */
export const Session: SessionDecorator = createParamDecorator(loadSession);
