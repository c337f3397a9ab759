import { NullSessionError } from '../../errors.js';
import { SessionRepository, type StoredRecord } from '../session-repository.js';

/** Keeps nothing: every session is absent, and to store one is an error that says what to configure. */
export class NullSessionRepository extends SessionRepository {
  override create(): Promise<never> {
    return Promise.reject(new NullSessionError('create'));
  }

  override read(): Promise<StoredRecord | undefined> {
    return Promise.resolve(undefined);
  }

  override update(): Promise<never> {
    return Promise.reject(new NullSessionError('update'));
  }

  override delete(): Promise<boolean> {
    return Promise.resolve(false);
  }
}
