import { dialectOf, type SqlDatabaseType } from './dialects/dialects.js';
import { toTableName } from './table-name.js';

/**
 * The statements that create the sessions table and its indexes: what `createTable: true` runs, for migrations of your own.
 *
 * @param type the `type` of the DataSource.
 * @param table as in the option `table`.
 * @throws TypeError for a name that no table can have here.
 */
export function createSessionsTableStatements(type: SqlDatabaseType, table = 'sessions'): readonly string[] {
  return dialectOf(type)?.createStatements(toTableName(table)) ?? [];
}

/**
 * The statements that bring a sessions table of version 0.1 up to date: what `createTable: true` runs where it finds one.
 *
 * @param type the `type` of the DataSource.
 * @param table as in the option `table`.
 * @throws TypeError for a name that no table can have here.
 */
export function upgradeSessionsTableStatements(type: SqlDatabaseType, table = 'sessions'): readonly string[] {
  return dialectOf(type)?.upgradeStatements(toTableName(table)) ?? [];
}
