import type { ModuleRef } from '@nestjs/core';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import type { SessionType } from '../options/session-options.js';
import { SessionRepository } from './session-repository.js';

/** What a back end is made from. */
export interface RepositoryContext {
  readonly options: ResolvedSessionOptions;
  /** To find what the application itself provides, such as a database connection. */
  readonly moduleRef: ModuleRef;
}

type CreateRepository = (context: RepositoryContext) => Promise<SessionRepository>;

/** Each back end is imported only when it is chosen, and with it its client package. */
const BACK_ENDS: Record<SessionType, CreateRepository> = {
  null: async () => new (await import('./null/null-session.repository.js')).NullSessionRepository(),
  memory: async ({ options }) => new (await import('./memory/memory-session.repository.js')).MemorySessionRepository(options.memory),
  filesystem: async ({ options }) =>
    new (await import('./filesystem/filesystem-session.repository.js')).FilesystemSessionRepository(options.filesystem, options),
  redis: async ({ options }) => (await import('./redis/redis-session.repository.js')).RedisSessionRepository.create(options),
  memcached: async (context) => (await import('./memcached/memcached-session.repository.js')).MemcachedSessionRepository.create(context),
  mongodb: async (context) => (await import('./mongodb/mongodb-session.repository.js')).MongodbSessionRepository.create(context),
  typeorm: async (context) => (await import('./typeorm/typeorm-session.repository.js')).TypeormSessionRepository.create(context),
};

/** The repository of the chosen back end, or the application's own. */
export async function createRepository(options: ResolvedSessionOptions, moduleRef: ModuleRef): Promise<SessionRepository> {
  const { repository, type } = options;
  if (repository instanceof SessionRepository) return repository;
  if (repository !== undefined) return moduleRef.create(repository);
  return BACK_ENDS[type]({ options, moduleRef });
}
