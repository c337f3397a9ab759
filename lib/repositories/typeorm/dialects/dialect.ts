import type { SqlDataSource } from '../data-source.types.js';
import type { Statement } from '../statement.js';
import type { TableName } from '../table-name.js';

/** What can be a parameter. */
export type SqlValue = string | number | Uint8Array | null;

/** What a statement gave. */
export interface SqlResult<Row> {
  readonly rows: readonly Row[];
  readonly affected: number;
}

/** The type of a column, as TypeORM calls it. */
export interface ColumnType {
  readonly type: 'varchar' | 'text' | 'bigint' | 'integer' | 'bytea' | 'mediumblob' | 'blob';
  readonly length?: string;
  readonly charset?: string;
  readonly collation?: string;
}

/**
 * What TypeORM does not know of a kind of database: its clock, its way to run a statement, its errors. The statements themselves
 * are written by TypeORM's QueryBuilder.
 */
export interface Dialect {
  readonly name: string;
  /** The npm package of the driver. */
  readonly driver: string;
  /** Options for a DataSource of our own: nothing waits longer than `timeout` milliseconds. */
  ownOptions(timeout: number): Record<string, unknown>;

  /** Milliseconds since 1970 by the clock of the database, independent of any time zone. */
  readonly now: string;
  /** The same at the start of the statement: the planner can tell beforehand how many rows are older. */
  readonly startOfStatement: string;
  /** The function that gives the least of its arguments. */
  readonly least: string;
  /** A condition: the column `principal` is exactly `:principal`. */
  readonly isPrincipal: string;
  /** A condition: from position `start` (from 1) on, the column `id` is a handle. */
  isHandleFrom(start: number): string;
  /** Whether an UPDATE can return the rows that it changed. */
  readonly hasReturning: boolean;
  /** A condition: a row has one of `:...ids`, and, where the database can tell, no other process holds it. */
  isOneOfFree(table: string): string;

  /** Whether a database has schemas; without them, the first part of the path of a table names another database. */
  readonly hasSchemas: boolean;
  /** The types of the columns, for keys, numbers, bytes and principals. */
  readonly columns: Readonly<Record<'key' | 'number' | 'bytes' | 'principal', ColumnType>>;
  /** The statements that create the table with its indexes where they are absent. */
  createStatements(table: TableName): readonly string[];
  /** The statements that bring a table of an earlier version up to date. */
  upgradeStatements(table: TableName): readonly string[];
  /** Statements to run before and after a group of statements that change the table, so that two processes do not do it at once. */
  readonly lockedGroup?: { begin(table: TableName): readonly string[]; readonly end: string; readonly undo: string };

  /** Runs a statement on a connection of the driver. */
  execute<Row>(connection: unknown, statement: Statement, parameters: readonly SqlValue[]): Promise<SqlResult<Row>>;
  /**
   * Cuts a connection on which an answer is overdue, or that is of no more use, so that it does not go back into the pool. Where
   * all statements share one connection and there is no server to wait for, it does nothing.
   */
  abandon(connection: unknown): void;
  /**
   * Called with each DataSource that is connected, before its first use.
   *
   * @param onConnection to be called with each new connection.
   * @returns whether the pool of the DataSource tells of new connections.
   */
  watch(dataSource: SqlDataSource, onConnection: (connection: object) => void): boolean;

  /** The table does not exist. */
  isMissingTable(error: unknown): boolean;
  /** The table does not have a column that a statement names. */
  isMissingColumn(error: unknown): boolean;
  /** What a statement should create or drop is there, or gone, already. */
  isAlreadyDone(error: unknown): boolean;
  /** A row with this id exists. */
  isDuplicate(error: unknown): boolean;
  /** The database undid the statement for the sake of another one, or could not begin it, and it may be repeated. */
  isRepeatable(error: unknown): boolean;
  /** The connection, or the server behind it, takes no changes. */
  isReadOnly(error: unknown): boolean;
}

/** A member of an error of a driver. A native one may come from another realm, where it is an instance of another `Error`. */
export function errorMember(error: unknown, member: 'code' | 'errno' | 'message'): unknown {
  return typeof error === 'object' && error !== null ? (error as Record<string, unknown>)[member] : undefined;
}
