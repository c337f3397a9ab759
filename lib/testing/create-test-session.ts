import type { Duration } from '../options/session-options.js';
import { resolveOptions } from '../options/resolve-options.js';
import { MemorySessionRepository } from '../repositories/memory/memory-session.repository.js';
import { type ServerSession, toServerSession } from '../session/server-session.js';
import type { SessionData } from '../session/session-data.js';
import { JsonSerializer } from '../storage/serializers.js';
import { SerializerRegistry } from '../storage/serializers.js';
import { wireSessions } from './wire-sessions.js';

/** What a test session is besides its data. */
export interface TestSessionOptions {
  /** The user it belongs to. */
  principal?: string;
  /** How long it lives since its last use. */
  lifetime?: Duration;
  /** Whether its cookie has an expiry. */
  permanent?: boolean;
  meta?: Record<string, unknown>;
}

/**
 * A session object for unit tests of controllers, without a module or a store. It behaves as in a request: `save`, `regenerate`,
 * `destroy` and the like work in memory.
 *
 * ```ts
 * const session = createTestSession({ cart: ['tea'] }, { principal: 'ada' });
 * expect(controller.add(session, 'milk')).toEqual(['tea', 'milk']);
 * ```
 *
 * @throws ReservedSessionKeyError for a key that is a member of the session object.
 */
export function createTestSession(
  data: Partial<SessionData> & Record<string, unknown> = {},
  { principal, lifetime, permanent, meta }: TestSessionOptions = {},
): ServerSession {
  const options = resolveOptions({ type: 'memory' });
  const manager = wireSessions(options, new MemorySessionRepository(), new SerializerRegistry(new JsonSerializer()));
  const session = toServerSession(manager.blank(), manager);
  for (const [key, value] of Object.entries(data)) session.set(key, value);
  if (principal !== undefined) session.principal = principal;
  if (lifetime !== undefined) session.lifetime = lifetime;
  if (permanent !== undefined) session.permanent = permanent;
  if (meta !== undefined) session.meta = meta;
  return session;
}
