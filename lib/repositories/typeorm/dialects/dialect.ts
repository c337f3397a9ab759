import type { SqlDataSource } from '../data-source.types.js';
import type { Sql } from '../sql-statement.js';
import type { SqlSession } from '../sql-session.js';
import type { TableName } from '../table-name.js';

/** A row to insert; `ttl` in milliseconds. */
export interface NewRow {
  readonly id: string;
  readonly payload: Uint8Array;
  readonly principal: string | null;
  readonly ttl: number;
}

/** A row of the sessions table. What is BIGINT comes as a number or as text, as the driver likes. */
export interface SessionRow {
  readonly id: string;
  readonly version: number | string;
  readonly payload: unknown;
  readonly principal: string | null;
  /** Milliseconds until the record expires. */
  readonly remaining: number | string;
}

/** Which records `purge` is about. */
export interface PurgeOrder {
  readonly table: Sql;
  /** A condition on the column `id`. */
  readonly within: Sql;
  /** At most so many in one statement. */
  readonly batch: number;
}

/** What is different in one kind of database. Everything that all of them understand stands in the repository. */
export interface Dialect {
  readonly name: string;
  /** The npm package of the driver. */
  readonly driver: string;
  /** Options for a DataSource of our own: nothing waits longer than `timeout` milliseconds. */
  ownOptions(timeout: number): Record<string, unknown>;
  /** Whether all of a DataSource's statements go through one connection, and so into whatever transaction is open there. */
  readonly hasOneConnection: boolean;

  placeholder(position: number): string;
  quote(name: string): string;

  /** Milliseconds since 1970 by the clock of the database, independent of any time zone. */
  readonly now: Sql;
  /** A condition: the column `principal` is exactly this. */
  isPrincipal(principal: string): Sql;
  /** A condition: the column `id` is a handle from position `start` (from 1) on. */
  isHandleFrom(start: number): Sql;

  /** Creates the row; false when the id is taken by a row that has not expired. */
  insert(session: SqlSession, table: Sql, row: NewRow): Promise<boolean>;
  /** Gives a living row a new lifetime, and reads it. */
  touch(session: SqlSession, table: Sql, columns: Sql, id: string, ttl: number): Promise<SessionRow | undefined>;
  /** Deletes one batch of expired rows; returns how many. Does nothing where another process is at it, if that can be known. */
  purge(session: SqlSession, order: PurgeOrder): Promise<number>;

  /** The statements that create the table with its indexes where they are absent. */
  tableStatements(table: TableName): readonly string[];
  /** Carries them out, while others may do the same. */
  createTable(session: SqlSession, table: TableName): Promise<void>;

  /** The table does not exist. */
  isMissingTable(error: unknown): boolean;
  /** The database undid the statement for the sake of another one, and it may be repeated. */
  isRepeatable(error: unknown): boolean;
  /** Called with each DataSource that is connected, before its first use. */
  prepareDataSource(dataSource: SqlDataSource): void;
  /** Cuts a connection on which an answer is overdue, so that it does not go back into the pool. */
  abandon(connection: unknown): void;
}

/** A table's name as it stands in statements. */
export function qualified(dialect: Pick<Dialect, 'quote'>, { schema, name }: TableName): string {
  return schema === undefined ? dialect.quote(name) : `${dialect.quote(schema)}.${dialect.quote(name)}`;
}

/** A member of an error of a driver, which TypeORM copies onto its own. */
export function errorMember(error: unknown, member: 'code' | 'errno'): unknown {
  return typeof error === 'object' && error !== null ? (error as Record<string, unknown>)[member] : undefined;
}
