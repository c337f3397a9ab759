import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import type { SessionRepository } from '../repositories/session-repository.js';
import { SessionEvents } from '../storage/session-events.js';
import { SessionIds } from '../session/session-id.js';
import { SessionManager } from '../session/session-manager.js';
import { SessionWriter } from '../session/session-writer.js';
import { AesGcmCipher } from '../storage/record.cipher.js';
import { RecordCodec } from '../storage/record.codec.js';
import type { SerializerRegistry } from '../storage/serializers.js';
import { SessionStore } from '../storage/session-store.js';
import { SessionTelemetry } from '../telemetry/session-telemetry.js';

/** Sessions without HTTP and without a module: the same classes as the module provides. */
export function wireSessions(
  options: ResolvedSessionOptions,
  repository: SessionRepository,
  serializers: SerializerRegistry,
): SessionManager {
  const ids = new SessionIds(options);
  const events = new SessionEvents();
  const codec = new RecordCodec({
    cipher: options.encryption && new AesGcmCipher(options.encryption.keys, options.keyPrefix),
    hashIds: options.hashIds,
  });
  const telemetry = new SessionTelemetry();
  const store = new SessionStore(repository, codec, serializers, options, events, telemetry);
  return new SessionManager(options, ids, store, serializers, new SessionWriter(store, options), events, telemetry);
}
