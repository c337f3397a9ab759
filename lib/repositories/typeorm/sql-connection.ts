import { OutageLog } from '../../common/outage-log.js';
import { withTimeout } from '../../common/with-timeout.js';
import type { DataSourceHolder } from './data-source-holder.js';
import { describeSqlError } from './sql-error.js';
import type { SessionsTable } from './sessions-table.js';
import { SqlSession } from './sql-session.js';

/** Changes of the table may take that much longer than an operation on a row. */
const PATIENCE = 10;

type Work<T> = (session: SqlSession) => Promise<T>;

/**
 * The way to the database: makes the DataSource and the table ready when they are first needed, and again whenever that did
 * not work, keeps every operation within its time, and gives up connections that are of no use any more.
 */
export class SqlConnection {
  private readonly outage: OutageLog;
  private readonly openedAt = new WeakMap<object, number>();
  private readonly watched = new WeakSet<object>();
  /** Connections that were opened before this moment are replaced before they are used. */
  private renewedAt = -Infinity;
  private isPoolWatched = false;
  private isReady = false;
  private preparing: Promise<void> | undefined;

  /**
   * @param timeout milliseconds for an operation.
   * @param migrationTimeout milliseconds to create the table, or to bring it up to date.
   */
  constructor(
    private readonly holder: DataSourceHolder,
    private readonly timeout: number,
    private readonly table: SessionsTable,
    private readonly migrationTimeout = timeout * PATIENCE,
  ) {
    this.outage = new OutageLog(holder.dialect.name);
  }

  /** Carries out one operation. @throws an Error that has nothing of a session in it. */
  async use<T>(work: Work<T>, timeout = this.timeout): Promise<T> {
    try {
      return await this.withinTime(async () => (this.isReady ? undefined : this.ready()), work, timeout);
    } catch (error) {
      const { dialect } = this.holder;
      if (dialect.isMissingTable(error) || dialect.isMissingColumn(error)) this.isReady = false;
      throw describeSqlError(error);
    }
  }

  /** Connects and prepares the table, once for all who ask at the same time. */
  ready(): Promise<void> {
    this.preparing ??= this.prepare().finally(() => {
      this.preparing = undefined;
    });
    return this.preparing;
  }

  close(): Promise<void> {
    return this.holder.close();
  }

  private async prepare(): Promise<void> {
    const { holder, outage } = this;
    try {
      const connect = async (): Promise<void> => {
        await holder.connect();
        this.watchConnections();
      };
      const migration = await this.withinTime(connect, (session) => this.table.check(session), this.timeout);
      if (migration !== undefined) await this.withinTime(async () => undefined, migration, this.migrationTimeout);
      this.isReady = true;
      outage.recovered();
    } catch (error) {
      const described = describeSqlError(error);
      outage.failed(`${holder.dialect.name} cannot keep sessions yet: ${described.message}`);
      throw described;
    }
  }

  private watchConnections(): void {
    const { dataSource, dialect } = this.holder;
    if (this.watched.has(dataSource.driver)) return;
    this.watched.add(dataSource.driver);
    this.isPoolWatched = dialect.watch(dataSource, (connection) => this.openedAt.set(connection, performance.now()));
  }

  /**
   * Past the time, nothing more is sent, and a connection on which an answer is overdue is cut: it could be waited for until
   * the network gives up, and the pool would have none left.
   */
  private withinTime<T>(before: () => Promise<void>, work: Work<T>, timeout: number): Promise<T> {
    const { dialect } = this.holder;
    const operation: Operation = { isLate: false, giveUp: () => undefined };
    const run = async (): Promise<T> => {
      await before();
      try {
        return await this.onConnection(operation, work);
      } catch (error) {
        if (operation.isLate || !(error instanceof UselessConnectionError)) throw error;
      }
      return this.onConnection(operation, work);
    };
    return withTimeout(run(), timeout, () => {
      operation.isLate = true;
      operation.giveUp();
      return new Error(`${dialect.name} did not answer within ${timeout} ms`);
    }).catch((error: unknown) => {
      throw error instanceof UselessConnectionError ? error.cause : error;
    });
  }

  /** @throws UselessConnectionError when it is worth a try to do the same on a new connection. */
  private async onConnection<T>(operation: Operation, work: Work<T>): Promise<T> {
    const { dataSource, dialect } = this.holder;
    for (;;) {
      if (operation.isLate) throw new Error('too late');
      const runner = dataSource.createQueryRunner('master');
      try {
        const connection = (await runner.connect()) as object;
        if (this.isStale(connection)) {
          dialect.abandon(connection);
          continue;
        }
        const session = new SqlSession(dataSource, dialect, connection);
        operation.giveUp = () => {
          session.end();
          dialect.abandon(connection);
          this.renew(connection);
        };
        if (operation.isLate) throw new Error('too late');
        try {
          return await work(session);
        } catch (error) {
          if (!dialect.isReadOnly(error) || !this.renew(connection)) throw error;
          dialect.abandon(connection);
          throw new UselessConnectionError(error);
        }
      } finally {
        operation.giveUp = () => undefined;
        await runner.release();
      }
    }
  }

  /** One that the pool did not tell of is from before the pool was watched. */
  private isStale(connection: object): boolean {
    return (this.openedAt.get(connection) ?? 0) < this.renewedAt;
  }

  /**
   * A connection hangs, or takes no changes any more, because a network or a server has changed: the others in the pool are no
   * better, and each would cost a request. They are replaced by new ones. A young connection says that the server itself is at
   * fault, and new connections would not help.
   *
   * @returns whether new connections may help.
   */
  private renew(connection: object): boolean {
    const now = performance.now();
    // Where the pool does not tell of new connections, they would count as old ones; SQLite has one connection for ever.
    if (!this.isPoolWatched || now - (this.openedAt.get(connection) ?? 0) < this.timeout) return false;
    this.renewedAt = now;
    return true;
  }
}

/** What an operation is at. */
interface Operation {
  isLate: boolean;
  giveUp: () => void;
}

/** The connection takes no changes, and a new one may. Never leaves this file. */
class UselessConnectionError extends Error {
  constructor(override readonly cause: unknown) {
    super('the connection takes no changes');
  }
}
