import { Logger } from '@nestjs/common';
import { withTimeout } from '../../common/with-timeout.js';
import type { DataSourceHolder } from './data-source-holder.js';
import { describeSqlError } from './sql-error.js';
import { SqlSession } from './sql-session.js';

/**
 * The way to the database: makes the DataSource and the table ready when they are first needed, and again whenever that did
 * not work, and keeps every operation within its time.
 */
export class SqlConnection {
  private static readonly logger = new Logger('ServerSession');
  private isReady = false;
  private preparing: Promise<void> | undefined;
  private isTroubleReported = false;

  /** @param prepareTable sees to it that the table is there, or throws. */
  constructor(
    private readonly holder: DataSourceHolder,
    private readonly timeout: number,
    private readonly prepareTable: (session: SqlSession) => Promise<void>,
  ) {}

  /** Carries out one operation. @throws an Error that has nothing of a session in it. */
  async use<T>(work: (session: SqlSession) => Promise<T>): Promise<T> {
    try {
      return await this.withinTime(async () => (this.isReady ? undefined : this.ready()), work);
    } catch (error) {
      if (this.holder.dialect.isMissingTable(error)) this.isReady = false;
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
    try {
      await this.withinTime(async () => {
        await this.holder.connect();
        this.holder.dialect.prepareDataSource(this.holder.dataSource);
      }, this.prepareTable);
      this.isReady = true;
      if (this.isTroubleReported) SqlConnection.logger.log(`[ServerSession] ${this.holder.dialect.name} is back`);
      this.isTroubleReported = false;
    } catch (error) {
      const described = describeSqlError(error);
      // Once for each loss, not for every try.
      if (!this.isTroubleReported)
        SqlConnection.logger.error(`[ServerSession] ${this.holder.dialect.name} cannot keep sessions yet: ${described.message}`);
      this.isTroubleReported = true;
      throw described;
    }
  }

  /**
   * Past the time, nothing more is sent, and a connection on which an answer is overdue is cut: it could be waited for until
   * the network gives up, and the pool would have none left.
   */
  private withinTime<T>(before: () => Promise<void>, work: (session: SqlSession) => Promise<T>): Promise<T> {
    const { holder, timeout } = this;
    let isLate = false;
    let giveUp = (): void => undefined;
    const run = async (): Promise<T> => {
      await before();
      if (isLate) throw new Error('too late');
      const runner = holder.dataSource.createQueryRunner('master');
      try {
        const connection = await runner.connect();
        const session = new SqlSession(runner, holder.dialect);
        giveUp = () => {
          session.end();
          holder.dialect.abandon(connection);
        };
        if (isLate) throw new Error('too late');
        const result = await work(session);
        return result;
      } finally {
        giveUp = () => undefined;
        await runner.release();
      }
    };
    return withTimeout(run(), timeout, () => {
      isLate = true;
      giveUp();
      return new Error(`${holder.dialect.name} did not answer within ${timeout} ms`);
    });
  }
}
