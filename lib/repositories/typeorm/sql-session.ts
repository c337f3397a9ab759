import { setTimeout as pause } from 'node:timers/promises';
import type { SqlRunner } from './data-source.types.js';
import type { Dialect, SessionRow } from './dialects/dialect.js';
import type { Sql } from './sql-statement.js';

/** What a statement gave. */
export interface SqlResult<Row> {
  readonly rows: readonly Row[];
  readonly affected: number;
}

const LONGEST_PAUSE = 50;

/** The statements of one operation: one connection of the pool, and an end after which nothing more is sent. */
export class SqlSession {
  private isOver = false;

  constructor(
    private readonly runner: SqlRunner,
    private readonly dialect: Dialect,
  ) {}

  /** Nobody waits for the answer any more. */
  end(): void {
    this.isOver = true;
  }

  /** A statement that only reads, or that belongs to a transaction of our own. */
  query<Row = SessionRow>(statement: Sql): Promise<SqlResult<Row>> {
    return this.repeat<Row>(statement, () => Promise.resolve());
  }

  /** A statement that writes and stands for itself. */
  change<Row = SessionRow>(statement: Sql): Promise<SqlResult<Row>> {
    return this.repeat<Row>(statement, () => this.untilCommitted());
  }

  /** All or nothing. */
  async transaction(work: () => Promise<void>): Promise<void> {
    await this.runner.startTransaction('READ COMMITTED');
    try {
      await work();
      await this.runner.commitTransaction();
    } catch (error) {
      await this.runner.rollbackTransaction().catch(() => undefined);
      throw error;
    }
  }

  /**
   * A single statement that the database undid for the sake of another (a deadlock, a serialization failure, a locked file)
   * has had no effect, and is tried again until the operation is over.
   */
  private async repeat<Row>(statement: Sql, prepare: () => Promise<void>): Promise<SqlResult<Row>> {
    const words = statement.toText(this.dialect.placeholder);
    for (let attempt = 0; ; attempt++) {
      await prepare();
      this.throwIfOver();
      try {
        const { records = [], affected = 0 } = await this.runner.query(words, statement.values.map(toParameter), true);
        return { rows: records as Row[], affected };
      } catch (error) {
        const isOurTransaction = this.runner.isTransactionActive;
        if (this.isOver || isOurTransaction || !this.dialect.isRepeatable(error)) throw error;
      }
      await pause(Math.random() * Math.min(LONGEST_PAUSE, 2 ** attempt));
    }
  }

  /**
   * Where all statements share one connection, a write would become part of whatever transaction the application has open
   * there, and be undone with it after it was reported as done.
   */
  private async untilCommitted(): Promise<void> {
    if (!this.dialect.hasOneConnection) return;
    while (this.runner.isTransactionActive) {
      this.throwIfOver();
      await pause(1);
    }
  }

  private throwIfOver(): void {
    if (this.isOver) throw new Error('the operation took too long and was given up');
  }
}

/** Drivers know Buffers, and some of them nothing else for bytes. */
function toParameter(value: unknown): unknown {
  if (!(value instanceof Uint8Array) || Buffer.isBuffer(value)) return value;
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}
