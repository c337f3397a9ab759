import { Module, type Provider } from '@nestjs/common';
import { APP_INTERCEPTOR, DiscoveryModule, DiscoveryService, HttpAdapterHost, MetadataScanner, ModuleRef } from '@nestjs/core';
import { ADMINISTRATION } from './admin/administration.providers.js';
import { PrincipalLimit } from './admin/principal-limit.js';
import { SessionService } from './admin/session.service.js';
import { HttpBridge } from './http/http-bridge.js';
import { RequestSessions } from './http/request-sessions.js';
import { SecureCookieAdvice } from './http/secure-cookie-advice.js';
import { SessionCookie } from './http/session-cookie.js';
import { needsInterceptor, SessionInterceptor } from './http/session.interceptor.js';
import { resolveOptions } from './options/resolve-options.js';
import { RESOLVED_OPTIONS, type ResolvedSessionOptions } from './options/resolved-options.js';
import type { ServerSessionOptions } from './options/session-options.js';
import { loadBackEnds } from './repositories/back-ends.js';
import { createRepository } from './repositories/repository.factory.js';
import { SessionRepository } from './repositories/session-repository.js';
import { AesGcmCipher } from './storage/record.cipher.js';
import { createSerializers } from './storage/serializer.factory.js';
import { SerializerRegistry } from './storage/serializer-registry.js';
import { RecordCodec } from './storage/record.codec.js';
import { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } from './server-session.module-definition.js';
import { SessionEvents } from './session/session-events.js';
import { SessionIds } from './session/session-id.js';
import { SessionLifecycle } from './session/session-lifecycle.js';
import { SessionStore } from './storage/session-store.js';
import { SessionTelemetry } from './telemetry/session-telemetry.js';

/** From the options up to the interceptor, in the order in which one builds on the other. */
const PROVIDERS: Provider[] = [
  {
    provide: RESOLVED_OPTIONS,
    inject: [MODULE_OPTIONS_TOKEN],
    useFactory: async (options: ServerSessionOptions) => resolveOptions(options, await loadBackEnds(options)),
  },
  {
    provide: SessionRepository,
    inject: [RESOLVED_OPTIONS, ModuleRef],
    useFactory: createRepository,
  },
  {
    provide: SerializerRegistry,
    inject: [RESOLVED_OPTIONS],
    useFactory: ({ serializer }: ResolvedSessionOptions) => createSerializers(serializer),
  },
  {
    provide: SessionIds,
    inject: [RESOLVED_OPTIONS],
    useFactory: ({ idBytes, hashIds }: ResolvedSessionOptions) => new SessionIds(idBytes, hashIds),
  },
  {
    provide: SessionStore,
    inject: [RESOLVED_OPTIONS, SessionRepository, SerializerRegistry, SessionEvents, SessionTelemetry],
    useFactory: (
      options: ResolvedSessionOptions,
      repository: SessionRepository,
      serializers: SerializerRegistry,
      events: SessionEvents,
      telemetry: SessionTelemetry,
    ) => {
      const cipher = options.encryption && new AesGcmCipher(options.encryption.keys, options.keyPrefix);
      return new SessionStore(repository, new RecordCodec({ cipher, hashIds: options.hashIds }), serializers, options, events, telemetry);
    },
  },
  {
    provide: SessionLifecycle,
    inject: [RESOLVED_OPTIONS, SessionIds, SessionStore, SerializerRegistry, SessionEvents, SessionTelemetry, PrincipalLimit],
    useFactory: (
      options: ResolvedSessionOptions,
      ids: SessionIds,
      stored: SessionStore,
      serializers: SerializerRegistry,
      events: SessionEvents,
      telemetry: SessionTelemetry,
      limit: PrincipalLimit | undefined,
    ) => new SessionLifecycle(options, ids, stored, serializers, events, telemetry, limit),
  },
  {
    provide: RequestSessions,
    inject: [RESOLVED_OPTIONS, SessionIds, SessionLifecycle],
    useFactory: (options: ResolvedSessionOptions, ids: SessionIds, lifecycle: SessionLifecycle) =>
      new RequestSessions(lifecycle, new SessionCookie(options, ids), new SecureCookieAdvice(options.cookie.secure)),
  },
  {
    provide: HttpBridge,
    inject: [HttpAdapterHost, RequestSessions],
    useFactory: (host: HttpAdapterHost, sessions: RequestSessions) => new HttpBridge(host, sessions),
  },
  {
    // Nest leaves out a global interceptor whose factory gives none.
    provide: APP_INTERCEPTOR,
    inject: [RequestSessions, DiscoveryService, MetadataScanner],
    useFactory: (sessions: RequestSessions, discovery: DiscoveryService, scanner: MetadataScanner) =>
      needsInterceptor(discovery, scanner) ? new SessionInterceptor(sessions) : undefined,
  },
  ...ADMINISTRATION,
];

/**
 * Server-side sessions. Import it once, in the root module:
 *
 * ```ts
 * ServerSessionModule.forRoot({ type: 'redis', redis: { url: 'redis://127.0.0.1:6379' } })
 * ```
 *
 * @throws SessionOptionsError at boot, naming every wrong option; MissingPackageError for a client that is not installed.
 */
@Module({ imports: [DiscoveryModule], providers: PROVIDERS, exports: [SessionService, SessionRepository] })
export class ServerSessionModule extends ConfigurableModuleClass {}
