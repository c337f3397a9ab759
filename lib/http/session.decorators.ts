import { createParamDecorator, type PipeTransform, SetMetadata, type Type } from '@nestjs/common';
import { bindSession, USES_SESSION } from './session-handlers.js';
import { sessionParameter } from './session.interceptor.js';

/** Spelled out, because what TypeScript infers names types that Nest 11 does not have. */
type SessionDecorator = (
  key?: string | PipeTransform | Type<PipeTransform>,
  ...pipes: (PipeTransform | Type<PipeTransform>)[]
) => ParameterDecorator;

/**
 * Injects the session of the request: `@Session() session: ServerSession`; or one value of its data:
 * `@Session('cart') cart = []`. In controllers, resolvers and gateways.
 */
export const Session: SessionDecorator = createParamDecorator(sessionParameter, [
  (target: object, key: string | symbol | undefined) => {
    if (key !== undefined) bindSession((target as Record<string | symbol, object>)[key]!);
  },
]);

/**
 * Says that a handler, or every handler of a class, uses the session, or with `false` that it does not. Needed only where it
 * cannot be seen: `@Session()`, `@Req()` and custom parameter decorators count as use anyway.
 */
export function UseSession(uses = true): MethodDecorator & ClassDecorator {
  const mark = SetMetadata(USES_SESSION, uses);
  return (target: object, key?: string | symbol, descriptor?: PropertyDescriptor): void => {
    if (descriptor === undefined) return void mark(target as () => void);
    if (uses) bindSession(descriptor.value as object);
    mark(target, key!, descriptor);
  };
}
