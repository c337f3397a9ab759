import { SetMetadata, type ExecutionContext } from '@nestjs/common';

const USES_SESSION = 'nestjs-server-session:uses';

/**
 * Two facts about a handler that Nest keeps to itself, under the names that versions 11 and 12 give them. Read-only, and the
 * only place here that depends on them.
 */
const NEST_ROUTE_ARGS = '__routeArguments__';
const NEST_SSE = '__sse__';
/** `RouteParamtypes.REQUEST` and `.SESSION`: `@Req()`, whose user may read `req.session`, and Nest's own `@Session()`. */
const PARAMETERS_WITH_SESSION = ['0', '7'];

/**
 * Says that a handler, or every handler of a controller, uses the session, or with `false` that it does not. Needed only
 * where it cannot be seen: a handler that reads `req.session` through something else than `@Session()` or `@Req()`.
 */
export const UseSession = (uses = true): MethodDecorator & ClassDecorator => SetMetadata(USES_SESSION, uses);

/** What the interceptor wants to know of a handler. */
export interface HandlerUsage {
  readonly usesSession: boolean;
  readonly sendsEvents: boolean;
}

type Handler = ReturnType<ExecutionContext['getHandler']>;
type Controller = ReturnType<ExecutionContext['getClass']>;

/** Looks once at each handler. */
export class HandlerUsages {
  private readonly usages = new WeakMap<Handler, HandlerUsage>();

  of(context: ExecutionContext): HandlerUsage {
    const handler = context.getHandler();
    let usage = this.usages.get(handler);
    if (usage === undefined) this.usages.set(handler, (usage = inspectHandler(context.getClass(), handler)));
    return usage;
  }
}

function inspectHandler(controller: Controller, handler: Handler): HandlerUsage {
  const declared = (metadata(USES_SESSION, handler) ?? metadata(USES_SESSION, controller)) as boolean | undefined;
  return {
    usesSession: declared ?? takesSession(controller, handler),
    sendsEvents: metadata(NEST_SSE, handler) === true,
  };
}

function takesSession(controller: Controller, handler: Handler): boolean {
  const parameters = Reflect.getMetadata(NEST_ROUTE_ARGS, controller, handler.name) as object | undefined;
  return Object.keys(parameters ?? {}).some((key) => PARAMETERS_WITH_SESSION.includes(key.split(':')[0] ?? ''));
}

function metadata(key: string, target: object): unknown {
  return Reflect.getMetadata(key, target);
}
