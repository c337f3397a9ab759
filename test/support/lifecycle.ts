import type { ServerSession, ServerSessionOptions } from 'nestjs-server-session';
import { resolveOptions } from '../../lib/options/resolve-options.js';
import { MemorySessionRepository } from '../../lib/repositories/memory/memory-session.repository.js';
import { AesGcmCipher } from '../../lib/storage/record.cipher.js';
import { createSerializers } from '../../lib/storage/serializers.js';
import { RecordCodec } from '../../lib/storage/record.codec.js';
import { stateOf, toServerSession } from '../../lib/session/server-session.js';
import { SessionIds } from '../../lib/session/session-id.js';
import { SessionLifecycle } from '../../lib/session/session-lifecycle.js';
import type { SessionState } from '../../lib/session/session-state.js';
import { SessionStore } from '../../lib/storage/session-store.js';

/** Sessions without HTTP: the real lifecycle, wired as the module does it. */
export interface Sessions {
  readonly repository: MemorySessionRepository;
  readonly lifecycle: SessionLifecycle;
  /** A request that brings this id, or none. */
  open(id?: string): Promise<ServerSession>;
  /** The end of a request. */
  commit(session: ServerSession): Promise<void>;
  /** What a request that brings this id reads. */
  read(id: string): Promise<Record<string, unknown>>;
  stateOf(session: ServerSession): SessionState;
}

/** Gives all sessions the same store: several lifecycles over one repository are several processes. */
export async function startSessions(given: ServerSessionOptions = {}, repository = new MemorySessionRepository()): Promise<Sessions> {
  const options = resolveOptions({ type: 'memory', ...given });
  const serializers = await createSerializers(options.serializer);
  const ids = new SessionIds(options.idBytes, options.hashIds);
  const codec = new RecordCodec({
    cipher: options.encryption && new AesGcmCipher(options.encryption.keys, options.keyPrefix),
    hashIds: options.hashIds,
  });
  const stored = new SessionStore(repository, codec, serializers, options);
  const lifecycle = new SessionLifecycle(options, ids, stored, serializers);
  const open = async (id?: string): Promise<ServerSession> => {
    return toServerSession(id === undefined ? lifecycle.loader.blank() : await lifecycle.loader.load([id]), lifecycle);
  };
  return {
    repository,
    lifecycle,
    open,
    commit: (session) => lifecycle.commit(stateOf(session)),
    read: async (id) => ({ ...(await open(id)) }),
    stateOf,
  };
}
