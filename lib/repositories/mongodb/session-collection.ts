import type { FindConnection } from './connection-finder.js';
import type { MongodbConnection } from './mongodb.connection.js';
import type { Collection, Db, MongoClient, SessionDocument } from './mongodb.types.js';
import { ServerClock } from './server-clock.js';

/** What an operation works with. */
export interface OpenCollection {
  readonly sessions: Collection;
  /** Epoch milliseconds by the clock of the server. */
  readonly now: number;
}

/** The collection of the sessions, wherever the options say that it is. */
export class SessionCollection {
  private connection: MongodbConnection | undefined;
  private current: { readonly db: Db; readonly sessions: Collection; readonly clock: ServerClock } | undefined;
  private closed = false;
  private watched: MongoClient | undefined;
  private readonly onTopologyChange = (): void => this.current?.clock.expire();

  constructor(
    private readonly findConnection: FindConnection,
    readonly name: string,
  ) {}

  /** Finds the connection, and does not wait for it. @throws SessionOptionsError when the application has no such connection. */
  locate(): MongodbConnection {
    return (this.connection ??= this.findConnection());
  }

  /** @throws when there is no connection within `storeTimeout`. */
  async open(): Promise<OpenCollection> {
    // A client of the driver would connect anew.
    if (this.closed) throw new Error('the connection to MongoDB was closed');
    const db = await this.locate().database();
    const { sessions, clock } = this.current?.db === db ? this.current : this.use(db);
    return { sessions, now: await clock.now() };
  }

  async close(): Promise<void> {
    this.closed = true;
    this.watched?.off('topologyDescriptionChanged', this.onTopologyChange);
    await this.connection?.close();
  }

  private use(db: Db): NonNullable<typeof this.current> {
    this.watch(db.client);
    const clock = new ServerClock(async () => timeOf(await db.command({ hello: 1 })));
    this.current = { db, sessions: this.collectionOf(db), clock };
    return this.current;
  }

  /** After a reconnect another server may be the primary, with a clock of its own. */
  private watch(client: MongoClient): void {
    if (client === this.watched) return;
    this.watched?.off('topologyDescriptionChanged', this.onTopologyChange);
    this.watched = client.on('topologyDescriptionChanged', this.onTopologyChange);
  }

  private collectionOf(db: Db): Collection {
    const { w, journal } = db.writeConcern ?? {};
    return db.collection<SessionDocument>(this.name, {
      // Without an acknowledgement (`w: 0`) nobody could tell a stored session from a lost one.
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

/** Servers that only speak the protocol of MongoDB may leave the time out. */
function timeOf(hello: { readonly localTime?: unknown }): number | undefined {
  return hello.localTime instanceof Date ? hello.localTime.getTime() : undefined;
}
