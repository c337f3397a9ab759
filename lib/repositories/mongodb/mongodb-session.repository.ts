import { SessionRepository } from '../session-repository.js';
import type { RepositoryContext } from '../repository.factory.js';

export abstract class MongodbSessionRepository extends SessionRepository {
  static create(_context: RepositoryContext): Promise<SessionRepository> {
    return Promise.reject(new Error('not yet'));
  }
}
