import { SessionLogger } from '../../common/session-logger.js';
import type { Connection, mongo } from 'mongoose';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadPackage } from '../../common/load-package.js';
import { MissingPackageError } from '../../errors.js';
import { type ApplicationProvider, findApplicationProvider } from '../application-provider.js';
import type { RepositoryContext } from '../repository.factory.js';
import { MONGODB_DEFAULTS, type MongooseConnection } from './mongodb.options.js';

/** A connection to MongoDB, ours or the application's. */
export interface MongodbConnection {
  /**
   * The database, once there is a connection.
   *
   * @throws when there is none within `storeTimeout`.
   */
  database(): Promise<mongo.Db>;

  /** Closes it if it is ours. */
  close(): Promise<void>;
}

/**
 * Finds the connection that the options mean. To be called from `onModuleInit` on: before, connections of the application may not
 * have been created yet.
 *
 * @throws SessionOptionsError when the application has no connection of the given name.
 */
export type FindConnection = () => MongodbConnection;

/** What to install; a URI or a connection needs mongoose alone. */
const PACKAGES = '@nestjs/mongoose mongoose';

/** @throws MissingPackageError for a package that the options need. */
export async function connectionFinder({ options, moduleRef }: RepositoryContext): Promise<FindConnection> {
  const { storeTimeout, mongodb = {} } = options;
  const { connection, connectionName, uri, db } = mongodb;
  const ofApplication = (found: MongooseConnection): MongodbConnection => new ApplicationConnection(found, db, storeTimeout);
  if (connection !== undefined) return () => ofApplication(connection);
  if (uri !== undefined) {
    const own = await OwnConnection.open(uri, db, storeTimeout);
    return () => own;
  }
  if (connectionName !== undefined) {
    const provider = await mongooseConnections();
    return () => ofApplication(findApplicationProvider<MongooseConnection>(moduleRef, provider, connectionName)!);
  }
  // An application without @nestjs/mongoose has no connection to look for.
  const provider = await mongooseConnections().catch(onlyMissing);
  const own = await OwnConnection.open(MONGODB_DEFAULTS.uri, db, storeTimeout);
  return () => {
    const found = provider && findApplicationProvider<MongooseConnection>(moduleRef, provider);
    if (found !== undefined) return ofApplication(found);
    new SessionLogger().log(`MongoDB: the application has no default connection of MongooseModule; sessions go to ${MONGODB_DEFAULTS.uri}`);
    return own;
  };
}

/** The connections of `MongooseModule`. */
async function mongooseConnections(): Promise<ApplicationProvider> {
  const { getConnectionToken } = await loadPackage(() => import('@nestjs/mongoose'), "type 'mongodb'", PACKAGES);
  return {
    kind: 'connection',
    option: 'mongodb.connectionName',
    token: getConnectionToken,
    example: (name) => `MongooseModule.forRoot(uri, { connectionName: '${name}' })`,
  };
}

function onlyMissing(error: unknown): undefined {
  if (error instanceof MissingPackageError) return undefined;
  throw error;
}

const CONNECTED = 1;
const POLL_INTERVAL = 20;

/** A connection that belongs to the application. */
class ApplicationConnection implements MongodbConnection {
  private readonly connection: Connection;
  private other: mongo.Db | undefined;

  /** @param db another database than the one the connection is for. */
  constructor(
    connection: MongooseConnection,
    private readonly db: string | undefined,
    private readonly timeout: number,
  ) {
    this.connection = connection as Connection;
  }

  /**
   * Waits for the connection here, and not in the queue of the driver: a command would stay there for 30 seconds by default, and be
   * carried out when its request has long been answered.
   */
  async database(): Promise<mongo.Db> {
    const { connection, db } = this;
    const end = performance.now() + this.timeout;
    // No event tells of everything: mongoose computes the state, from the age of the last heartbeat among others.
    while (connection.readyState !== CONNECTED || connection.db === undefined) {
      if (performance.now() >= end) throw new Error(`the application's connection to MongoDB is not open after ${this.timeout} ms`);
      await sleep(POLL_INTERVAL);
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

/** The database in a URI: what stands between the hosts and the parameters. */
const DATABASE_OF_URI = /^mongodb(?:\+srv)?:\/\/[^/]+\/([^?]+)/;
/** Milliseconds; the driver allows no less. */
const SHORTEST_HEARTBEAT = 500;

/** How much later than it should a heartbeat may end on a busy machine, in milliseconds. */
const HEARTBEAT_GRACE = 250;

/** A client of our own. It gives way to another where the driver has lost its way back to the server. */
class OwnConnection implements MongodbConnection {
  private current: WatchedClient;
  private isClosed = false;

  private constructor(private readonly createClient: () => WatchedClient) {
    this.current = createClient();
  }

  /** @throws MissingPackageError when mongoose is not installed; an error of the driver for a URI that it does not understand. */
  static async open(uri: string, db: string | undefined, timeout: number): Promise<OwnConnection> {
    const { default: mongoose } = await loadPackage(() => import('mongoose'), "type 'mongodb'", PACKAGES);
    const heartbeatFrequencyMS = Math.max(SHORTEST_HEARTBEAT, timeout);
    const named = DATABASE_OF_URI.exec(uri)?.[1];
    const name = db ?? (named === undefined ? MONGODB_DEFAULTS.db : decodeURIComponent(named));
    const createClient = (): WatchedClient => {
      const client = new mongoose.mongo.MongoClient(uri, {
        // A request is answered when the time is over: no command may wait for a server or a reply longer than that.
        serverSelectionTimeoutMS: timeout,
        connectTimeoutMS: timeout,
        socketTimeoutMS: timeout,
        waitQueueTimeoutMS: timeout,
        // A server that is lost without a word is noticed within two timeouts, and its connections are given up.
        heartbeatFrequencyMS,
      });
      return new WatchedClient(client, client.db(name), 2 * heartbeatFrequencyMS + HEARTBEAT_GRACE);
    };
    return new OwnConnection(createClient);
  }

  async database(): Promise<mongo.Db> {
    if (this.current.isStuck) {
      // The process may have been busy, with the answer waiting to be read.
      await sleep(POLL_INTERVAL);
      if (this.current.isStuck && !this.isClosed) this.renew();
    }
    return this.current.connect();
  }

  close(): Promise<void> {
    this.isClosed = true;
    return this.current.client.close();
  }

  private renew(): void {
    const { client } = this.current;
    this.current = this.createClient();
    client.close().catch(() => undefined);
  }
}

/** A client of the driver, and the heartbeats by which it finds its servers. */
class WatchedClient {
  private isConnected = false;
  /** When the heartbeats that are under way began, by the addresses of their servers. */
  private readonly heartbeats = new Map<string, number>();

  /** @param longest milliseconds that a heartbeat may take, by the options of the client. */
  constructor(
    readonly client: mongo.MongoClient,
    private readonly db: mongo.Db,
    private readonly longest: number,
  ) {
    client.on('serverHeartbeatStarted', ({ connectionId }) => this.heartbeats.set(connectionId, performance.now()));
    client.on('serverHeartbeatSucceeded', ({ connectionId }) => this.heartbeats.delete(connectionId));
    client.on('serverHeartbeatFailed', ({ connectionId }) => this.heartbeats.delete(connectionId));
    client.on('serverClosed', ({ address }) => this.heartbeats.delete(address));
  }

  /**
   * Whether a heartbeat should have ended long ago. Where a server, or a proxy before it, resets a connection while the driver greets it, the
   * driver (7.5) waits for ever, and does not look for that server again.
   */
  get isStuck(): boolean {
    const now = performance.now();
    for (const begin of this.heartbeats.values()) if (now - begin > this.longest) return true;
    return false;
  }

  /** It begins to connect when it is first needed, and again as long as that has never worked. */
  async connect(): Promise<mongo.Db> {
    if (!this.isConnected) {
      // The driver finds a lost server again by itself, but not one that was never there.
      await this.client.connect();
      this.isConnected = true;
    }
    return this.db;
  }
}
