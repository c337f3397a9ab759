import { Logger } from '@nestjs/common';
import { loadPackage } from '../../common/load-package.js';
import type { MongodbConnection } from './mongodb.connection.js';
import { MONGODB_DEFAULTS, MONGODB_PACKAGES } from './mongodb.options.js';
import type { Db, MongoClient } from './mongodb.types.js';

/** The database in a URI: what stands between the hosts and the parameters. */
const DATABASE_OF_URI = /^mongodb(?:\+srv)?:\/\/[^/]+\/([^?]+)/;

/** A client of our own. It begins to connect when it is first needed, and again as long as that has never worked. */
export class OwnConnection implements MongodbConnection {
  private static readonly logger = new Logger('ServerSession');
  private connected = false;
  private closed = false;

  private constructor(
    private readonly client: MongoClient,
    private readonly db: Db,
  ) {
    this.reportTrouble();
  }

  /** @throws MissingPackageError when mongoose is not installed; an error of the driver for a URI that it does not understand. */
  static async open(uri: string, db: string | undefined, timeout: number): Promise<OwnConnection> {
    const { default: mongoose } = await loadPackage(() => import('mongoose'), "type 'mongodb'", MONGODB_PACKAGES);
    // Whoever asked has had an answer when the time is over; no command may wait for a server or a reply longer than that.
    const client = new mongoose.mongo.MongoClient(uri, {
      serverSelectionTimeoutMS: timeout,
      connectTimeoutMS: timeout,
      socketTimeoutMS: timeout,
      waitQueueTimeoutMS: timeout,
    });
    const named = DATABASE_OF_URI.exec(uri)?.[1];
    return new OwnConnection(client, client.db(db ?? (named === undefined ? MONGODB_DEFAULTS.db : decodeURIComponent(named))));
  }

  async database(): Promise<Db> {
    if (!this.connected) {
      // The driver finds a lost server again by itself, but not one that was never there.
      await this.client.connect();
      this.connected = true;
    }
    return this.db;
  }

  close(): Promise<void> {
    this.closed = true;
    return this.client.close();
  }

  /** Once for each loss of the connection, not for every try. */
  private reportTrouble(): void {
    let lost = false;
    this.client.on('topologyDescriptionChanged', ({ previousDescription, newDescription }) => {
      const [before, now] = [previousDescription.hasKnownServers, newDescription.hasKnownServers];
      if (this.closed || before === now) return;
      if (!now) OwnConnection.logger.error('[ServerSession] MongoDB: the connection is lost');
      else if (lost) OwnConnection.logger.log('[ServerSession] MongoDB is back');
      lost = !now;
    });
  }
}
