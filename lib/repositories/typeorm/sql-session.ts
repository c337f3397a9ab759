import { setTimeout as pause } from 'node:timers/promises';
import type { SqlDataSource } from './data-source.types.js';
import type { Dialect, SqlResult } from './dialects/dialect.js';
import type { Statement, StatementValues } from './statement.js';

/** A row of the sessions table. What is BIGINT comes as a number or as a string, as the driver likes. */
export interface SessionRow {
  readonly id: string;
  readonly version: number | string;
  readonly payload: unknown;
  readonly principal: string | null;
  /** Milliseconds until the record expires. */
  readonly remaining: number | string;
}

const LONGEST_PAUSE = 50;

/** The statements of one operation: one connection of the pool, and an end after which nothing more is sent. */
export class SqlSession {
  private isOver = false;

  constructor(
    private readonly dataSource: SqlDataSource,
    private readonly dialect: Dialect,
    private readonly connection: unknown,
  ) {}

  /** The operation took too long: the caller has its error already. */
  end(): void {
    this.isOver = true;
  }

  /**
   * Runs a statement on the connection of the driver itself: TypeORM would log its parameters, which are sessions, and put them into
   * its errors. A single statement that the database undid for the sake of another (a deadlock, a serialization failure, a
   * locked file) has had no effect, and is tried again until the operation is over.
   */
  async run<Row = SessionRow>(statement: Statement, values: StatementValues = {}): Promise<SqlResult<Row>> {
    const parameters = statement.bind(values);
    for (let attempt = 0; ; attempt++) {
      if (this.isOver) throw new Error('the operation took too long and was given up');
      this.dataSource.logger?.logQuery(statement.text);
      try {
        return await this.dialect.execute<Row>(this.connection, statement, parameters);
      } catch (error) {
        if (this.isOver || !this.dialect.isRepeatable(error)) throw error;
      }
      await pause(Math.random() * Math.min(LONGEST_PAUSE, 2 ** attempt));
    }
  }
}
