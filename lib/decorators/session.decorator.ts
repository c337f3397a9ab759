import { createParamDecorator, type ExecutionContext, type PipeTransform, type Type } from '@nestjs/common';
import { UseSession } from '../http/handler-usage.js';
import { toHttpExchange } from '../http/http-exchange.js';
import type { ServerSession } from '../session/server-session.js';

const markHandler: ParameterDecorator = (target, key) => {
  if (key === undefined) return;
  const descriptor = Object.getOwnPropertyDescriptor(target, key);
  if (descriptor !== undefined) UseSession()(target, key, descriptor);
};

/** Spelled out, because what TypeScript infers names types that Nest 11 does not have. */
type SessionDecorator = (
  key?: string | PipeTransform | Type<PipeTransform>,
  ...pipes: (PipeTransform | Type<PipeTransform>)[]
) => ParameterDecorator;

/**
 * Injects the session of the request: `@Session() session: ServerSession`; or one value of its data:
 * `@Session('cart') cart = []`.
 */
export const Session: SessionDecorator = createParamDecorator(
  (key: string | undefined, context: ExecutionContext): unknown => {
    const session = toHttpExchange(context)?.request.session as ServerSession | undefined;
    return key === undefined ? session : session?.get(key);
  },
  [markHandler],
);
