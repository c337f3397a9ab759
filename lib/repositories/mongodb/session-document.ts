import { UnreadableRecordError } from '../../errors.js';
import type { SessionRecord, StoredRecord } from '../session-repository.js';
import type { SessionDocument } from './mongodb.types.js';

export function toDocument(id: string, record: SessionRecord, expiresAt: Date): SessionDocument {
  return { _id: id, version: 1, expiresAt, ...toFields(record) };
}

/** The change of a document that puts a record in place of the one before. */
export function toChange(
  record: SessionRecord,
  version: number,
  expiresAt: Date,
): { $set: Partial<SessionDocument>; $unset?: { principal: '' } } {
  const $set = { version, expiresAt, ...toFields(record) };
  return record.principal === undefined ? { $set, $unset: { principal: '' } } : { $set };
}

/**
 * @param now by the clock of the server.
 * @throws UnreadableRecordError for a document of another form.
 */
export function fromDocument({ version, payload, principal, expiresAt }: SessionDocument, now: number): StoredRecord {
  if (!Number.isSafeInteger(version) || !(payload instanceof Uint8Array))
    throw new UnreadableRecordError('its document was not written by a session repository');
  return { version: String(version), payload, principal, remaining: expiresAt.getTime() - now };
}

function toFields({ payload, principal }: SessionRecord): Pick<SessionDocument, 'payload' | 'principal'> {
  return principal === undefined ? { payload } : { payload, principal };
}
