import { setTimeout as pause } from 'node:timers/promises';
import type { Connection } from 'mongoose';
import type { MongodbConnection } from './mongodb.connection.js';
import type { MongooseConnection } from './mongodb.options.js';
import type { Db } from './mongodb.types.js';

const CONNECTED = 1;
const POLL_INTERVAL = 20;

/** A connection that belongs to the application. */
export class ApplicationConnection implements MongodbConnection {
  private readonly connection: Connection;
  private other: Db | undefined;

  /** @param db another database than the one the connection is for. */
  constructor(
    connection: MongooseConnection,
    private readonly db: string | undefined,
    private readonly timeout: number,
  ) {
    this.connection = connection as Connection;
  }

  /**
   * Waits for the connection here, and not in the queue of the driver, where a command would stay for 30 seconds by default and
   * be carried out when nobody waits for it any more.
   */
  async database(): Promise<Db> {
    const { connection, db } = this;
    const end = performance.now() + this.timeout;
    // No event tells of everything: mongoose computes the state, from the age of the last heartbeat among others.
    while (connection.readyState !== CONNECTED || connection.db === undefined) {
      if (performance.now() >= end) throw new Error(`the application's connection to MongoDB is not open after ${this.timeout} ms`);
      await pause(POLL_INTERVAL);
    }
    if (db === undefined) return connection.db;
    const client = connection.getClient();
    if (this.other?.client !== client) this.other = client.db(db);
    return this.other;
  }

  async close(): Promise<void> {
    // The application opened it, and the application may still need it.
  }
}
