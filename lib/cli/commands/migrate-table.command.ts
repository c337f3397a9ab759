import { dataSourceFinder } from '../../repositories/typeorm/data-source-finder.js';
import { SQL_DATABASE_TYPES, type SqlDatabaseType } from '../../repositories/typeorm/dialects/dialects.js';
import { fromConnectionUrl } from '../../repositories/typeorm/connection-url.js';
import { createSessionsTableStatements, ensureTable } from '../../repositories/typeorm/sessions-table.js';
import { SqlConnection } from '../../repositories/typeorm/sql-connection.js';
import { toTableName } from '../../repositories/typeorm/table-name.js';
import { ExitCode, UsageError } from '../exit-code.js';
import type { Output } from '../output.js';
import type { Command } from './command.js';

/** Creates the table and its indexes, if they are not there. Also where the application itself must not (`createTable: false`). */
export const migrateTable: Command<object> = async ({ options, moduleRef, output }) => {
  if (options.repository !== undefined || options.type !== 'typeorm')
    throw new UsageError(`migrate-table is for type 'typeorm' (SESSION_TYPE=sqlalchemy); this store is '${options.type}'`);
  const { table = 'sessions', schema } = options.typeorm ?? {};
  const find = await dataSourceFinder({ options, moduleRef });
  const holder = find();
  const connection = new SqlConnection(holder, options.storeTimeout, (session) =>
    ensureTable(session, holder.dialect, toTableName(table, schema), true),
  );
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
export async function printTable(output: Output, { type, table = 'sessions' }: PrintOptions, url: string | undefined): Promise<ExitCode> {
  const kind = type ?? (url === undefined ? undefined : fromConnectionUrl(url)?.type);
  if (kind === undefined) throw new UsageError(`--print needs --type <${SQL_DATABASE_TYPES.join('|')}>, or a URL in SESSION_SQLALCHEMY`);
  const statements = createSessionsTableStatements(kind, table).map((statement) => statement.trim());
  if (output.asJson) await output.line(JSON.stringify({ type: kind, table, statements }));
  else for (const line of statements.join(';\n').concat(';').split('\n')) await output.line(line);
  return ExitCode.ok;
}
