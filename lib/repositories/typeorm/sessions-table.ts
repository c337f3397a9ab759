import type { Dialect } from './dialects/dialect.js';
import { qualified } from './dialects/dialect.js';
import { dialectOf, type SqlDatabaseType } from './dialects/dialects.js';
import type { SqlSession } from './sql-session.js';
import { sql, text } from './sql-statement.js';
import { toTableName, type TableName } from './table-name.js';

/**
 * The statements that create the sessions table and its indexes: what `createTable: true` runs, for migrations of your own.
 *
 * @param type the `type` of the DataSource.
 * @param table as in the option `table`.
 */
export function createSessionsTableStatements(type: SqlDatabaseType, table = 'sessions'): readonly string[] {
  return dialectOf(type)?.tableStatements(toTableName(table)) ?? [];
}

/**
 * Sees to it that the table is there. One that is there is left as it is, and needs no more rights than reading.
 *
 * @throws when it is absent and must not, or cannot, be created.
 */
export async function ensureTable(session: SqlSession, dialect: Dialect, table: TableName, mayCreate: boolean): Promise<void> {
  try {
    await session.query(sql`SELECT 1 FROM ${text(qualified(dialect, table))} WHERE 1 = 0`);
  } catch (error) {
    if (!dialect.isMissingTable(error)) throw error;
    if (!mayCreate)
      throw new Error(`there is no table '${table.name}', and 'typeorm.createTable' is false: create it with a migration`, {
        cause: error,
      });
    await dialect.createTable(session, table);
  }
}
