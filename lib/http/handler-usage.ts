import { SetMetadata, type Type } from '@nestjs/common';

const USES_SESSION = 'nestjs-server-session:uses';

/**
 * How Nest notes the parameters of a handler: read-only, under the names that versions 11 and 12 give them, and nowhere else
 * here. `RouteParamtypes.REQUEST` and `.SESSION` are `@Req()`, whose user may read `req.session`, and Nest's own `@Session()`.
 */
const ROUTE_ARGUMENTS = '__routeArguments__';
const CUSTOM_ARGUMENT = '__customRouteArgs__';
const REQUEST_ARGUMENTS = ['0', '7'];

/** The factories of parameter decorators that load the session themselves. */
const LOADING_FACTORIES = new WeakSet<object>();

/** Says that a parameter decorator's factory loads the session itself, so that nobody has to do it before. */
export function loadsItself<T extends object>(factory: T): T {
  LOADING_FACTORIES.add(factory);
  return factory;
}

/**
 * Says that a handler, or every handler of a controller, uses the session, or with `false` that it does not. Needed only
 * where it cannot be seen: `@Session()`, `@Req()` and custom parameter decorators count as use anyway.
 */
export const UseSession = (uses = true): MethodDecorator & ClassDecorator => SetMetadata(USES_SESSION, uses);

/** A method of a controller. */
export type Handler = (...args: never[]) => unknown;

/**
 * Whether the session has to be there before the parameters of a handler are looked up: not for `@Session()`, which waits for
 * it, but for everything that may read `req.session`.
 */
export function readsRequestSession(controller: Type | (abstract new (...args: never[]) => unknown), handler: Handler): boolean {
  const declared = metadata(USES_SESSION, handler) ?? metadata(USES_SESSION, controller);
  return typeof declared === 'boolean' ? declared : takesRequest(controller, handler);
}

function takesRequest(controller: object, handler: Handler): boolean {
  const parameters = Reflect.getMetadata(ROUTE_ARGUMENTS, controller, handler.name) as Record<string, { factory?: object }> | undefined;
  return Object.entries(parameters ?? {}).some(([key, { factory }]) =>
    key.includes(CUSTOM_ARGUMENT)
      ? factory === undefined || !LOADING_FACTORIES.has(factory)
      : REQUEST_ARGUMENTS.includes(key.split(':')[0] ?? ''),
  );
}

function metadata(key: string, target: object): unknown {
  return Reflect.getMetadata(key, target);
}
