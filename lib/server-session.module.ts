import { ConfigurableModuleBuilder, Module, type Provider } from '@nestjs/common';
import { DiscoveryModule, ModuleRef, ModulesContainer } from '@nestjs/core';
import { createLimit } from './admin/principal-limit.js';
import { PurgeTimer } from './admin/purge.timer.js';
import { SessionEventListeners } from './admin/session-event.listeners.js';
import { SessionListing } from './admin/session-listing.js';
import { SessionRevocation } from './admin/session-revocation.js';
import { SessionService } from './admin/session.service.js';
import { SessionOptionsError } from './errors.js';
import { RequestSessions } from './http/request-session.js';
import { HttpConnection } from './http/session-handlers.js';
import { SessionTransport } from './http/session-transport.js';
import { resolveOptions } from './options/resolve-options.js';
import { RESOLVED_OPTIONS, type ResolvedSessionOptions } from './options/resolved-options.js';
import type { ServerSessionOptions } from './options/session-options.js';
import { loadBackEnds } from './repositories/back-ends.js';
import { createRepository } from './repositories/repository.factory.js';
import { SessionRepository } from './repositories/session-repository.js';
import { AesGcmCipher } from './storage/record.cipher.js';
import { createSerializers, SerializerRegistry } from './storage/serializers.js';
import { RecordCodec } from './storage/record.codec.js';
import { SessionIds } from './session/session-id.js';
import { SessionAdoption } from './interop/session-adoption.js';
import { SESSION_LIMIT, SessionManager } from './session/session-manager.js';
import { SessionWriter } from './session/session-writer.js';
import { SessionEvents } from './storage/session-events.js';
import { SessionStore } from './storage/session-store.js';
import { createTelemetry, SessionTelemetry } from './telemetry/session-telemetry.js';

const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } = new ConfigurableModuleBuilder<ServerSessionOptions>({
  moduleName: 'ServerSession',
})
  .setClassMethodName('forRoot')
  .setFactoryMethodName('createServerSessionOptions')
  .setExtras({ isGlobal: true }, (definition, { isGlobal }) => ({ ...definition, global: isGlobal }))
  .build();

/** From the options up to the interceptor and the administration, in the order in which one builds on the other. */
const PROVIDERS: Provider[] = [
  {
    provide: RESOLVED_OPTIONS,
    inject: [MODULE_OPTIONS_TOKEN, ModulesContainer],
    useFactory: async (options: ServerSessionOptions, modules: ModulesContainer) => {
      assertSingle(modules);
      return resolveOptions(options, await loadBackEnds(options));
    },
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
    provide: RecordCodec,
    inject: [RESOLVED_OPTIONS],
    useFactory: ({ encryption, keyPrefix, hashIds }: ResolvedSessionOptions) =>
      new RecordCodec({ cipher: encryption && new AesGcmCipher(encryption.keys, keyPrefix), hashIds }),
  },
  {
    provide: SessionTelemetry,
    inject: [RESOLVED_OPTIONS],
    useFactory: ({ type, repository }: ResolvedSessionOptions) => createTelemetry(repository === undefined ? type : 'custom'),
  },
  SessionEvents,
  SessionIds,
  SessionStore,
  SessionWriter,
  SessionManager,
  SessionTransport,
  SessionAdoption,
  RequestSessions,
  HttpConnection,
  SessionListing,
  SessionRevocation,
  {
    provide: SESSION_LIMIT,
    inject: [RESOLVED_OPTIONS, SessionListing, SessionRevocation, SessionStore],
    useFactory: createLimit,
  },
  PurgeTimer,
  SessionEventListeners,
  SessionService,
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

/** @throws SessionOptionsError when an application has two registrations: their cookies would overwrite each other. */
function assertSingle(modules: ModulesContainer): void {
  const all = Array.from(modules.values());
  const registrations = all.filter(({ metatype }) => metatype === ServerSessionModule);
  if (registrations.length < 2) return;
  const importers = all.filter(({ imports }) => registrations.some((registration) => imports.has(registration)));
  throw new SessionOptionsError([
    `ServerSessionModule is registered ${registrations.length} times, in ${importers.map(({ name }) => name).join(' and ')}; allowed: once in an ` +
      'application, in its root module',
  ]);
}
