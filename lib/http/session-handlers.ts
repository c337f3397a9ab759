import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { DiscoveryService, HttpAdapterHost, MetadataScanner } from '@nestjs/core';
import { RESOLVED_OPTIONS, type ResolvedSessionOptions } from '../options/resolved-options.js';
import { connectAdapter, connectServer } from './adapters.js';
import { RequestSessions } from './request-session.js';
import { keepApplication, SessionInterceptor, SessionLoadingGuard, sessionParameter } from './session.interceptor.js';

export const USES_SESSION = 'nestjs-server-session:uses';

/**
 * What Nest notes of handlers and their parameters: under the names that versions 11 and 12 give them, and nowhere else here. The
 * numbers are `RouteParamtypes`: `@Req()`, whose user may read `req.session`, and Nest's own `@Session()`; `@Res()` and `@Next()`.
 */
const ROUTE_ARGUMENTS = '__routeArguments__';
const CUSTOM_ARGUMENT = '__customRouteArgs__';
const REQUEST_ARGUMENTS = ['0', '7'];
const RESPONSE_ARGUMENTS = ['1', '2'];
const PASSTHROUGH = '__responsePassthrough__';
const SSE = '__sse__';
const INTERCEPTORS = '__interceptors__';
const GUARDS = '__guards__';

const INTERCEPTOR = new SessionInterceptor();
const GUARD = new SessionLoadingGuard();

type Parameters = Readonly<Record<string, { readonly factory?: object }>>;

/** Makes a handler load the session before it runs and commit it after. */
export function bindSession(handler: object): void {
  add(INTERCEPTORS, INTERCEPTOR, handler);
}

/** Connects the sessions with the application's handlers, its adapter and its server. */
@Injectable()
export class HttpConnection implements OnModuleInit {
  constructor(
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
    @Inject(RequestSessions) private readonly sessions: RequestSessions,
    @Inject(RESOLVED_OPTIONS) { earlyLoad }: ResolvedSessionOptions,
    @Inject(DiscoveryService) discovery: DiscoveryService,
    @Inject(MetadataScanner) scanner: MetadataScanner,
  ) {
    // Nest sets up the routes before any hook of a module runs.
    bindSessionHandlers(discovery, scanner, sessions);
    connectAdapter(host, sessions, earlyLoad);
  }

  onModuleInit(): void {
    connectServer(this.host, this.sessions);
  }
}

/**
 * Looks through the handlers of an application, as Nest's own explorers do: those that may read `req.session` are bound as those with
 * `@Session()` are, and those that answer by themselves load the session but leave the commit to their response.
 */
function bindSessionHandlers(discovery: DiscoveryService, scanner: MetadataScanner, sessions: RequestSessions): void {
  for (const { metatype } of discovery.getControllers()) eachHandler(metatype, scanner, bindRoute);
  for (const { metatype } of discovery.getProviders()) {
    eachHandler(metatype, scanner, (provider, name, handler) => {
      bindOther(provider, name, handler);
      if (isBound(handler)) keepApplication(provider, sessions);
    });
  }
}

function bindRoute(controller: object, name: string, handler: object): void {
  const parameters = parametersOf(controller, name);
  const declared = declaredUse(controller, handler);
  const uses = declared ?? (isBound(handler) || takesFactory(parameters) || takes(REQUEST_ARGUMENTS, parameters));
  if (!uses) return;
  const answers =
    Reflect.hasMetadata(SSE, handler) ||
    (takes(RESPONSE_ARGUMENTS, parameters) && Reflect.getMetadata(PASSTHROUGH, controller, name) !== true);
  if (!answers) return bindSession(handler);
  remove(INTERCEPTORS, INTERCEPTOR, handler);
  add(GUARDS, GUARD, handler);
}

/** Resolvers and gateways. */
function bindOther(provider: object, name: string, handler: object): void {
  const declared = declaredUse(provider, handler);
  if (declared ?? takesFactory(parametersOf(provider, name))) bindSession(handler);
}

function eachHandler(metatype: unknown, scanner: MetadataScanner, visit: (owner: object, name: string, handler: object) => void): void {
  if (typeof metatype !== 'function' || metatype.prototype === undefined) return;
  const prototype = metatype.prototype as object;
  for (const name of scanner.getAllMethodNames(prototype)) {
    const handler: unknown = Reflect.get(prototype, name);
    if (typeof handler === 'function') visit(metatype, name, handler);
  }
}

function parametersOf(owner: object, name: string): Parameters {
  return (Reflect.getMetadata(ROUTE_ARGUMENTS, owner, name) as Parameters | undefined) ?? {};
}

/** A custom parameter decorator may read `req.session`. Ours waits for the session itself. */
function takesFactory(parameters: Parameters): boolean {
  return Object.entries(parameters).some(
    ([key, { factory }]) => key.includes(CUSTOM_ARGUMENT) && factory !== undefined && factory !== sessionParameter,
  );
}

function takes(types: readonly string[], parameters: Parameters): boolean {
  return Object.keys(parameters).some((key) => !key.includes(CUSTOM_ARGUMENT) && types.includes(key.split(':')[0] ?? ''));
}

function declaredUse(owner: object, handler: object): boolean | undefined {
  return (Reflect.getMetadata(USES_SESSION, handler) ?? Reflect.getMetadata(USES_SESSION, owner)) as boolean | undefined;
}

function isBound(handler: object): boolean {
  return listed(INTERCEPTORS, handler).includes(INTERCEPTOR) || listed(GUARDS, handler).includes(GUARD);
}

function listed(key: string, handler: object): unknown[] {
  return (Reflect.getMetadata(key, handler) as unknown[] | undefined) ?? [];
}

function add(key: string, enhancer: object, handler: object): void {
  const there = listed(key, handler);
  if (!there.includes(enhancer)) Reflect.defineMetadata(key, [...there, enhancer], handler);
}

function remove(key: string, enhancer: object, handler: object): void {
  const others = listed(key, handler).filter((there) => there !== enhancer);
  Reflect.defineMetadata(key, others, handler);
}
