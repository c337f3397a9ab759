export {
  type CreatedSession,
  type CreateSessionOptions,
  type RevokeAllQuery,
  type SessionPage,
  type SessionQuery,
  SessionService,
} from './admin/session.service.js';
export { OnSessionEvent } from './admin/session-event.listeners.js';
export { Session, UseSession } from './http/session.decorators.js';
export {
  InvalidSessionCursorError,
  MissingPackageError,
  NullSessionError,
  PrincipalChangeError,
  ReadOnlySessionError,
  ReservedSessionKeyError,
  SessionConflictError,
  SessionHeadersSentError,
  SessionListingNotSupportedError,
  SessionOptionsError,
  SessionSerializationError,
  SessionStoreError,
  SessionStoreTimeoutError,
  SessionTooLargeError,
  SessionUnavailableError,
  TooManySessionsError,
  UnreadableRecordError,
} from './errors.js';
export { SessionInterceptor } from './http/session.interceptor.js';
export { sessionOptionsFromEnv } from './options/options-from-env.js';
export type {
  Duration,
  ServerSessionOptions,
  ServerSessionOptionsFactory,
  SessionCookieOptions,
  SessionRequest,
  SessionTransportOption,
  SessionType,
} from './options/session-options.js';
export type { FilesystemSessionOptions } from './repositories/filesystem/filesystem.options.js';
export type { MemcachedSessionOptions } from './repositories/memcached/memcached.options.js';
export type { MemorySessionOptions } from './repositories/memory/memory.options.js';
export type { MongodbSessionOptions } from './repositories/mongodb/mongodb.options.js';
export type { RedisSessionOptions } from './repositories/redis/redis.options.js';
export { type RepositoryContext } from './repositories/repository.factory.js';
export { SessionEntity, type SessionEntityOptions, SessionEntitySchema, sessionEntity } from './repositories/typeorm/session-entity.js';
export { createSessionsTableStatements, upgradeSessionsTableStatements } from './repositories/typeorm/table-statements.js';
export type { TypeormSessionOptions } from './repositories/typeorm/typeorm.options.js';
export {
  type ListableSessionRepository,
  type ListedRecord,
  type ListQuery,
  type RecordPage,
  type SessionRecord,
  SessionRepository,
  type SessionVersion,
  type StoredRecord,
  type UpdateResult,
} from './repositories/session-repository.js';
export { SessionSerializer } from './storage/serializers.js';
export { ServerSessionModule } from './server-session.module.js';
export { type RegenerateOptions, ServerSession, type SessionCallback } from './session/server-session.js';
export type { SessionCookieView } from './session/session-cookie.view.js';
export type { FlashMessage, SessionData } from './session/session-data.js';
export type { SessionEvent, SessionEventType } from './storage/session-events.js';
