export { createTestSession, type TestSessionOptions } from './create-test-session.js';
export { describeSessionRepository } from './describe-session-repository.js';
export type { RepositoryTraits } from './repository-traits.js';
export type { RepositoryFactory } from './fixture.js';
