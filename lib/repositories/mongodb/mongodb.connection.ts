import type { Db } from './mongodb.types.js';

/** A connection to MongoDB, ours or the application's. */
export interface MongodbConnection {
  /**
   * The database, once there is a connection.
   *
   * @throws when there is none within `storeTimeout`.
   */
  database(): Promise<Db>;

  /** Closes it if it is ours. */
  close(): Promise<void>;
}
