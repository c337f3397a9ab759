import type { Statement } from '../statement.js';
import { quotePath } from '../table-name.js';
import { errorMember, type Dialect, type SqlResult, type SqlValue } from './dialect.js';

/** What is used of better-sqlite3. */
interface Database {
  readonly inTransaction: boolean;
  prepare(text: string): Prepared;
  pragma(text: string, options?: { simple: true }): unknown;
}
interface Prepared {
  /** Whether it returns rows. */
  readonly reader: boolean;
  readonly readonly: boolean;
  all(...parameters: SqlValue[]): unknown[];
  run(...parameters: SqlValue[]): { changes: number };
}

/** The application has a transaction open on the only connection. */
class ConnectionBusyError extends Error {
  readonly code = 'SQLITE_BUSY';
}

/** How long SQLite itself may wait for another process, in milliseconds: this process stands still meanwhile. */
const LONGEST_STANDSTILL = 20;

const NOW = `CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)`;

const quote = (name: string): string => `"${name}"`;
const prepared = new WeakMap<Database, WeakMap<Statement, Prepared>>();

/** SQLite from 3.35 on, through better-sqlite3. */
export const sqliteDialect: Dialect = {
  name: 'SQLite',
  driver: 'better-sqlite3',
  ownOptions: () => ({ timeout: LONGEST_STANDSTILL }),

  now: NOW,
  startOfStatement: NOW,
  least: 'min',
  isPrincipal: 'principal = :principal',
  isHandleFrom: (start) => `length(id) >= ${start} AND substr(id, ${start}) NOT GLOB '*[^A-Za-z0-9_-]*'`,
  hasReturning: true,
  isOneOfFree: () => 'id IN (:...ids)',

  hasSchemas: false,
  columns: { key: { type: 'text' }, number: { type: 'integer' }, bytes: { type: 'blob' }, principal: { type: 'text' } },
  createStatements: (table) => [
    `CREATE TABLE IF NOT EXISTS ${quotePath(quote, table)} (
  "id" text NOT NULL PRIMARY KEY,
  "version" integer NOT NULL,
  "payload" blob NOT NULL,
  "expires_at" integer NOT NULL,
  "principal" text,
  "purge_at" integer NOT NULL DEFAULT 0
)`,
    // Here the index has the schema, and the table must not.
    `CREATE INDEX IF NOT EXISTS ${quotePath(quote, { ...table, name: `${table.name}_principal_idx` })} ON "${table.name}" ("principal", "id")`,
    `CREATE INDEX IF NOT EXISTS ${quotePath(quote, { ...table, name: `${table.name}_purge_at_idx` })} ON "${table.name}" ("purge_at", "id")`,
  ],
  upgradeStatements: (table) => [
    `ALTER TABLE ${quotePath(quote, table)} ADD COLUMN "purge_at" integer NOT NULL DEFAULT 0`,
    `CREATE INDEX IF NOT EXISTS ${quotePath(quote, { ...table, name: `${table.name}_purge_at_idx` })} ON "${table.name}" ("purge_at", "id")`,
    `DROP INDEX IF EXISTS ${quotePath(quote, { ...table, name: `${table.name}_expires_at_idx` })}`,
  ],

  // An error becomes a rejection, but nothing else of this connection runs in between.
  execute: async <Row>(connection: unknown, statement: Statement, parameters: readonly SqlValue[]) =>
    runAtOnce<Row>(connection as Database, statement, parameters),
  abandon: () => undefined,
  watch: () => false,

  isMissingTable: (error) => /no such table/.test(String(errorMember(error, 'message'))),
  isMissingColumn: (error) => /no such column/.test(String(errorMember(error, 'message'))),
  isAlreadyDone: (error) => /duplicate column name/.test(String(errorMember(error, 'message'))),
  isDuplicate: (error) => /^SQLITE_CONSTRAINT_(PRIMARYKEY|UNIQUE)/.test(String(errorMember(error, 'code'))),
  isRepeatable: (error) => /^SQLITE_(BUSY|LOCKED)/.test(String(errorMember(error, 'code'))),
  isReadOnly: () => false,
};

/**
 * SQLite itself waits for another process that holds the lock, five seconds by default, and this process stands still meanwhile.
 * So it must not wait at all here: the statement is repeated a little later, and this process does other things in between.
 * The application's own statements on the same connection wait as before.
 */
function runAtOnce<Row>(database: Database, statement: Statement, parameters: readonly SqlValue[]): SqlResult<Row> {
  const timeout = Number(database.pragma('busy_timeout', { simple: true }));
  if (timeout > LONGEST_STANDSTILL) database.pragma('busy_timeout = 0');
  try {
    const words = prepare(database, statement);
    // In a transaction of the application, the change would be undone with it after it was reported as done.
    if (database.inTransaction && !words.readonly) throw new ConnectionBusyError('a transaction of the application is open');
    if (words.reader) {
      const rows = words.all(...parameters) as Row[];
      return { rows, affected: rows.length };
    }
    return { rows: [], affected: words.run(...parameters).changes };
  } finally {
    if (timeout > LONGEST_STANDSTILL) database.pragma(`busy_timeout = ${timeout}`);
  }
}

function prepare(database: Database, statement: Statement): Prepared {
  let known = prepared.get(database);
  if (known === undefined) prepared.set(database, (known = new WeakMap()));
  let words = known.get(statement);
  if (words === undefined) known.set(statement, (words = database.prepare(statement.text)));
  return words;
}
