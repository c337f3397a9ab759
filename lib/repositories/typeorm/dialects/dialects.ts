import type { Dialect } from './dialect.js';
import { mysqlDialect } from './mysql.dialect.js';
import { postgresDialect } from './postgres.dialect.js';
import { sqliteDialect } from './sqlite.dialect.js';

/** By the `type` of a DataSource. */
const DIALECTS = {
  postgres: postgresDialect,
  mysql: mysqlDialect,
  mariadb: mysqlDialect,
  'better-sqlite3': sqliteDialect,
} satisfies Record<string, Dialect>;

/** The kinds of DataSource that can keep sessions. */
export type SqlDatabaseType = keyof typeof DIALECTS;

export const SQL_DATABASE_TYPES = Object.keys(DIALECTS) as SqlDatabaseType[];

export function dialectOf(type: string): Dialect | undefined {
  return Object.hasOwn(DIALECTS, type) ? DIALECTS[type as SqlDatabaseType] : undefined;
}
