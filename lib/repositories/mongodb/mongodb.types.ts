import type { mongo } from 'mongoose';

/** The types of the driver that mongoose brings along: there is no need for another copy of it. */
export type Db = mongo.Db;
export type Collection = mongo.Collection<SessionDocument>;
export type IndexDescription = mongo.IndexDescription;
export type MongoClient = mongo.MongoClient;

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
