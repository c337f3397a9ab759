import type { ServerSession, ServerSessionOptions } from 'nestjs-server-session';
import { resolveOptions } from '../../lib/options/resolve-options.js';
import { MemorySessionRepository } from '../../lib/repositories/memory/memory-session.repository.js';
import { createSerializers } from '../../lib/storage/serializers.js';
import { wireSessions } from '../../lib/testing/wire-sessions.js';
import { stateOf, toServerSession } from '../../lib/session/server-session.js';
import type { SessionManager } from '../../lib/session/session-manager.js';
import type { SessionState } from '../../lib/session/session-state.js';

/** Sessions without HTTP: the real manager, wired as the module does it. */
export interface Sessions {
  readonly repository: MemorySessionRepository;
  readonly manager: SessionManager;
  /** A request that brings this id, or none. */
  open(id?: string): Promise<ServerSession>;
  /** The end of a request. */
  commit(session: ServerSession): Promise<void>;
  /** What a request that brings this id reads. */
  read(id: string): Promise<Record<string, unknown>>;
  stateOf(session: ServerSession): SessionState;
}

/** Gives all sessions the same store: several managers over one repository are several processes. */
export async function startSessions(given: ServerSessionOptions = {}, repository = new MemorySessionRepository()): Promise<Sessions> {
  const options = resolveOptions({ type: 'memory', ...given });
  const manager = wireSessions(options, repository, await createSerializers(options.serializer));
  const open = async (id?: string): Promise<ServerSession> => {
    return toServerSession(id === undefined ? manager.blank() : await manager.load([id]), manager);
  };
  return {
    repository,
    manager,
    open,
    commit: (session) => manager.commit(stateOf(session)),
    read: async (id) => ({ ...(await open(id)) }),
    stateOf,
  };
}
