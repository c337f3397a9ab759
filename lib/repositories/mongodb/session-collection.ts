import type { mongo } from 'mongoose';
import { OutageLog } from '../../common/outage-log.js';
import { reasonOf } from '../../errors.js';
import type { FindConnection, MongodbConnection } from './mongodb-connection.js';
import { ServerClock } from './server-clock.js';
import type { SessionDocument } from './session-document.js';

export type Collection = mongo.Collection<SessionDocument>;

/** What an operation works with. */
export interface OpenCollection {
  readonly sessions: Collection;
  /** Epoch milliseconds by the clock of the server. */
  readonly now: number;
  /** To be given to every command. */
  readonly limits: Limits;
}

/**
 * Ends a command when its time is over: the driver closes the connection that it waits on, and does not retry. Types of the driver name
 * these options for some commands only, but it obeys them for all. A driver that does not know `signal` still has the timeout of the socket.
 */
type Limits = mongo.CommandOperationOptions & { readonly signal: AbortSignal; readonly socketTimeoutMS: number };

const AUTHENTICATION_FAILED = 18;

/** The collection of the sessions, wherever the options say that it is. */
export class SessionCollection {
  private readonly outage = new OutageLog('MongoDB');
  private connection: MongodbConnection | undefined;
  private current: { readonly db: mongo.Db; readonly sessions: Collection; readonly clock: ServerClock } | undefined;
  private pool: PoolWatch | undefined;
  private closed = false;

  /** @param timeout milliseconds for one operation. */
  constructor(
    private readonly findConnection: FindConnection,
    readonly name: string,
    private readonly timeout: number,
  ) {}

  /** Finds the connection, and does not wait for it. @throws SessionOptionsError when the application has no such connection. */
  locate(): MongodbConnection {
    return (this.connection ??= this.findConnection());
  }

  /**
   * Carries out an operation within its time. What it has not sent by then is never sent.
   *
   * @param timeout milliseconds, for an operation that may take longer than others.
   * @throws when there is no connection, or no answer, in time.
   */
  async run<T>(operation: (collection: OpenCollection) => Promise<T>, timeout = this.timeout): Promise<T> {
    const controller = new AbortController();
    const { signal } = controller;
    const timer = setTimeout(() => controller.abort(new Error(`no answer within ${timeout} ms`)), timeout);
    try {
      const collection = await this.open({ signal, socketTimeoutMS: timeout });
      // The wait for a connection may have used up the time.
      signal.throwIfAborted();
      const answer = await operation(collection);
      this.outage.recovered();
      return answer;
    } catch (error) {
      if (signal.aborted || isOutage(error)) this.reportOutage(error);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Creates indexes, which may take any time. */
  async createIndexes(indexes: mongo.IndexDescription[]): Promise<void> {
    const { sessions } = await this.use();
    await sessions.createIndexes(indexes);
  }

  async close(): Promise<void> {
    this.closed = true;
    this.pool?.stop();
    await this.connection?.close();
  }

  private async open(limits: Limits): Promise<OpenCollection> {
    const { sessions, clock } = await this.use();
    return { sessions, now: await clock.now(), limits };
  }

  private async use(): Promise<NonNullable<typeof this.current>> {
    // A client of the driver would connect anew.
    if (this.closed) throw new Error('the connection to MongoDB was closed');
    const db = await this.locate().database();
    if (this.current?.db === db) return this.current;
    const clock = new ServerClock(async () => timeOf(await db.command({ hello: 1 }, limitsOf(this.timeout))));
    if (this.pool?.client !== db.client) {
      this.pool?.stop();
      // After a reconnect another server may be the primary, with a clock of its own.
      this.pool = new PoolWatch(db.client, () => this.current?.clock.expire());
    }
    return (this.current = { db, sessions: this.collectionOf(db), clock });
  }

  private reportOutage(error: unknown): void {
    if (this.closed) return;
    this.outage.failed(`MongoDB: ${reasonOf(error)}`);
    if (this.current !== undefined) this.pool?.test(this.current.db, this.timeout);
  }

  private collectionOf(db: mongo.Db): Collection {
    const { w, journal } = db.writeConcern ?? {};
    return db.collection<SessionDocument>(this.name, {
      // Without an acknowledgement (`w: 0`) a stored session looks like a lost one.
      writeConcern: { w: w === undefined || w === 0 ? 'majority' : w, ...(journal !== undefined && { journal }) },
      // A secondary may lag behind: it would bring destroyed sessions back and lose new ones.
      readPreference: 'primary',
      // Whatever the application's connection has chosen for its own documents.
      promoteBuffers: true,
      promoteValues: true,
      promoteLongs: true,
      useBigInt64: false,
      raw: false,
    });
  }
}

/** The connections that a client has open. The driver closes one that did not answer, and leaves the others in its pool. */
class PoolWatch {
  private size = 0;
  private isTesting = false;
  private readonly onCreated = (): void => void this.size++;
  private readonly onClosed = (): void => void this.size--;

  constructor(
    readonly client: mongo.MongoClient,
    private readonly onTopologyChange: () => void,
  ) {
    client.on('connectionCreated', this.onCreated);
    client.on('connectionClosed', this.onClosed);
    client.on('topologyDescriptionChanged', this.onTopologyChange);
  }

  /**
   * Sends something on every connection at once, so that all that are dead are closed one timeout later. A firewall that has forgotten one
   * has most likely forgotten them all, and requests would meet one after the other.
   */
  test(db: mongo.Db, timeout: number): void {
    if (this.isTesting || this.size <= 0) return;
    this.isTesting = true;
    const pings = Array.from({ length: this.size }, () => db.command({ ping: 1 }, limitsOf(timeout)));
    void Promise.allSettled(pings).then(() => (this.isTesting = false));
  }

  stop(): void {
    this.client.off('connectionCreated', this.onCreated);
    this.client.off('connectionClosed', this.onClosed);
    this.client.off('topologyDescriptionChanged', this.onTopologyChange);
  }
}

function limitsOf(timeout: number): Limits {
  return { signal: AbortSignal.timeout(timeout), socketTimeoutMS: timeout };
}

/** Whether the driver got no answer from a server, or no access to it. */
function isOutage(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = 'code' in error ? error.code : undefined;
  return error.name.startsWith('Mongo') && (typeof code !== 'number' || code === AUTHENTICATION_FAILED);
}

/** Servers that only speak the protocol of MongoDB may leave the time out. */
function timeOf(hello: { readonly localTime?: unknown }): number | undefined {
  return hello.localTime instanceof Date ? hello.localTime.getTime() : undefined;
}
