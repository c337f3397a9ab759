import type { mongo } from 'mongoose';
import { UnreadableRecordError } from '../../errors.js';
import type { SessionRecord, StoredRecord } from '../session-repository.js';

/** How a session stands in the collection. */
export interface SessionDocument {
  /** The key prefix and the handle. */
  _id: string;
  /** Counts the changes of the record; sliding expiry is none. */
  version: number;
  /** Binary: keys with `.` or `$` are of no concern to the server. */
  payload: Uint8Array;
  /** By the clock of the server. */
  expiresAt: Date;
  principal?: string;
}

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

export type Filter = mongo.Filter<SessionDocument>;
type Ids = NonNullable<Filter['_id']>;

/** A character after all those of a handle. */
const AFTER_HANDLES = '\x7f';

/** The records under these ids that have not expired: the server removes expired ones up to a minute late, or later. */
export function live(_id: Ids, now: number): Filter {
  return { _id, expiresAt: { $gt: new Date(now) } };
}

export function expired(_id: Ids, now: number): Filter {
  return { _id, expiresAt: { $lte: new Date(now) } };
}

/**
 * The ids of one key prefix, after that of a handle. The range makes it cheap; the pattern leaves out those of a longer prefix
 * that begins like this one.
 */
export function idsUnder(prefix: string, after = ''): Ids {
  const pattern = `^${prefix.replaceAll(/\W/g, '\\$&')}[A-Za-z0-9_-]+$`;
  return { $gt: prefix + after, $lt: prefix + AFTER_HANDLES, $regex: pattern };
}
