import { dataSourceFinder } from '../../repositories/typeorm/data-source-finder.js';
import { SQL_DATABASE_TYPES, type SqlDatabaseType } from '../../repositories/typeorm/dialects/dialects.js';
import { fromConnectionUrl } from '../../repositories/typeorm/connection-url.js';
import { SessionsTable } from '../../repositories/typeorm/sessions-table.js';
import { SqlConnection } from '../../repositories/typeorm/sql-connection.js';
import { DEFAULT_TABLE, isTableName, TABLE_RULE } from '../../repositories/typeorm/table-name.js';
import { createSessionsTableStatements } from '../../repositories/typeorm/table-statements.js';
import { ExitCode, UsageError } from '../exit-code.js';
import type { Output } from '../output.js';
import type { Command } from './command.js';

/** Milliseconds for all changes: an index on a large table takes its time. */
const MIGRATION_TIMEOUT = 3_600_000;

/**
 * Creates the table and its indexes if they are not there, and brings a table of an earlier version up to date. Also where the
 * application itself must not (`createTable: false`).
 */
export const migrateTable: Command<object> = async ({ options, moduleRef, output }) => {
  if (options.repository !== undefined || options.type !== 'typeorm')
    throw new UsageError(`migrate-table is for type 'typeorm' (SESSION_TYPE=sqlalchemy); this store is '${options.type}'`);
  const { keyPrefix, storeTimeout, typeorm = {} } = options;
  const { table = DEFAULT_TABLE } = typeorm;
  const find = await dataSourceFinder({ options, moduleRef });
  const holder = find();
  const sessions = new SessionsTable(holder, { ...typeorm, createTable: true }, keyPrefix);
  const connection = new SqlConnection(holder, storeTimeout, sessions, MIGRATION_TIMEOUT);
  try {
    await connection.ready();
  } finally {
    await connection.close();
  }
  await output.result({ table, database: holder.dialect.name }, `The table ${table} is ready (${holder.dialect.name}).`);
  return ExitCode.ok;
};

/** Which table to print. */
export interface PrintOptions {
  readonly type?: SqlDatabaseType;
  readonly table?: string;
}

/** Prints the statements, for a migration or a database administrator. Needs no database. */
export async function printTable(
  output: Output,
  { type, table = DEFAULT_TABLE }: PrintOptions,
  url: string | undefined,
): Promise<ExitCode> {
  const kind = type ?? (url === undefined ? undefined : fromConnectionUrl(url)?.type);
  if (kind === undefined) throw new UsageError(`--print needs --type <${SQL_DATABASE_TYPES.join('|')}>, or a URL in SESSION_SQLALCHEMY`);
  if (!isTableName(table)) throw new UsageError(`a table is ${TABLE_RULE}; see --table and SESSION_SQLALCHEMY_TABLE`);
  const statements = createSessionsTableStatements(kind, table).map((statement) => statement.trim());
  if (output.asJson) await output.line(JSON.stringify({ type: kind, table, statements }));
  else for (const line of statements.join(';\n').concat(';').split('\n')) await output.line(line);
  return ExitCode.ok;
}
