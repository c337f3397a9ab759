import { sql, text } from '../sql-statement.js';
import { insertOnConflict, touchReturning } from './common-statements.js';
import { errorMember, qualified, type Dialect } from './dialect.js';

/** How long SQLite itself waits for another process, in milliseconds: this process stands still meanwhile. */
const BUSY_TIMEOUT = 20;

/** SQLite from 3.35 on, through better-sqlite3. */
export const sqliteDialect: Dialect = {
  name: 'SQLite',
  driver: 'better-sqlite3',
  // A short wait, and then another try of ours, which lets this process do other things in between.
  ownOptions: () => ({ timeout: BUSY_TIMEOUT }),
  hasOneConnection: true,

  placeholder: () => '?',
  quote: (name) => `"${name}"`,

  now: text(`CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)`),
  isPrincipal: (principal) => sql`principal = ${principal}`,
  isHandleFrom: (start) => sql`length(id) >= ${text(String(start))} AND substr(id, ${text(String(start))}) NOT GLOB '*[^A-Za-z0-9_-]*'`,

  insert: (session, table, row) => insertOnConflict(sqliteDialect, session, table, row),
  touch: (session, table, columns, id, ttl) => touchReturning(sqliteDialect, session, table, columns, id, ttl),

  purge: async (session, { table, within, batch }) => {
    const statement = sql`
      DELETE FROM ${table} WHERE id IN (
        SELECT id FROM ${table} WHERE expires_at <= ${sqliteDialect.now} AND ${within}
        ORDER BY expires_at LIMIT ${text(String(batch))})`;
    return (await session.change(statement)).affected;
  },

  tableStatements: (table) => {
    const { schema, name } = table;
    // Here the index has the schema, and the table must not.
    const index = (suffix: string): string => qualified(sqliteDialect, { schema, name: `${name}_${suffix}_idx` });
    return [
      `CREATE TABLE IF NOT EXISTS ${qualified(sqliteDialect, table)} (
  "id" text NOT NULL PRIMARY KEY,
  "version" integer NOT NULL,
  "payload" blob NOT NULL,
  "expires_at" integer NOT NULL,
  "principal" text
)`,
      `CREATE INDEX IF NOT EXISTS ${index('principal')} ON "${name}" ("principal", "id")`,
      `CREATE INDEX IF NOT EXISTS ${index('expires_at')} ON "${name}" ("expires_at")`,
    ];
  },

  createTable: async (session, table) => {
    for (const statement of sqliteDialect.tableStatements(table)) await session.change(text(statement));
  },

  isMissingTable: (error) => error instanceof Error && /no such table/.test(error.message),
  isRepeatable: (error) => /^SQLITE_(BUSY|LOCKED)/.test(String(errorMember(error, 'code'))),
  prepareDataSource: () => undefined,
  // There is no server to wait for.
  abandon: () => undefined,
};
