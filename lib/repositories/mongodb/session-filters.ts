import type { mongo } from 'mongoose';
import type { SessionDocument } from './mongodb.types.js';

export type Filter = mongo.Filter<SessionDocument>;

/** A character after all those of a handle. */
const AFTER_HANDLES = '\x7f';

type Ids = NonNullable<Filter['_id']>;

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
