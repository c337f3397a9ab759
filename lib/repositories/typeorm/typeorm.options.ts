import type { OptionReader } from '../../common/option-reader.js';
import type { BackEnd } from '../repository.factory.js';
import { fromConnectionUrl, URL_RULE } from './connection-url.js';
import type { SqlDataSource } from './data-source.types.js';
import { SQL_DATABASE_TYPES, type SqlDatabaseType } from './dialects/dialects.js';
import { isIdentifier, isTableName, TABLE_RULE } from './table-name.js';

/**
 * Which SQL database: one of `dataSource`, `dataSourceName`, or TypeORM's own options (`type`, `url`, `host`, …) for a DataSource of
 * the session store's own. With none of them, it is the application's default DataSource of `TypeOrmModule`.
 *
 * PostgreSQL, MySQL, MariaDB, and SQLite through better-sqlite3.
 */
export interface TypeormSessionOptions {
  /** A DataSource of TypeORM. It stays yours: you initialize and destroy it. */
  dataSource?: SqlDataSource;
  /** The name of a DataSource of the application, as in `TypeOrmModule.forRoot({ name: 'sessions', … })`. */
  dataSourceName?: string;
  /** The kind of database of a DataSource of our own; where `url` is given, its scheme says it, too. */
  type?: SqlDatabaseType;
  /** As in `postgres://user:password@host:5432/database`, `mariadb://…`, or `sqlite:///sessions.db`. */
  url?: string;
  /** The table, perhaps with its schema: `'app.sessions'`. @default 'sessions' */
  table?: string;
  /** The schema (or database, or attached file) that holds the table; it has to exist. @default the one of the connection */
  schema?: string;
  /** Create the table and its indexes if the table is absent. @default true */
  createTable?: boolean;
  /** All other options of TypeORM for a DataSource of our own. */
  [option: string]: unknown;
}

/** Options that are not about which database it is. */
const ABOUT_TABLE = ['table', 'schema', 'createTable'];
const APPLICATIONS = ['dataSource', 'dataSourceName'];

export const backEnd: BackEnd<TypeormSessionOptions> = {
  check: checkTypeormOptions,
  create: async (context) => (await import('./typeorm-session.repository.js')).TypeormSessionRepository.create(context),
};

function checkTypeormOptions(read: OptionReader): void {
  read.check('dataSource', undefined, 'a DataSource of TypeORM', isDataSource);
  read.check('dataSourceName', undefined, 'the name of a DataSource', (value) => typeof value === 'string' && value !== '');
  read.check('url', undefined, URL_RULE, (value) => typeof value === 'string' && fromConnectionUrl(value) !== undefined);
  const types: readonly unknown[] = SQL_DATABASE_TYPES;
  read.check('type', undefined, types.map((type) => `'${String(type)}'`).join(', '), (value) => types.includes(value));
  read.check('table', undefined, TABLE_RULE, isTableName);
  read.check('schema', undefined, 'a name of up to 48 letters, digits, _, $ and -', isIdentifier);
  read.boolean('createTable', true);
  checkCombination(read);
}

/** TypeORM's own options among those given: what is left without ours. */
export function ownDataSourceOptions(options: TypeormSessionOptions): Record<string, unknown> {
  const ours = [...ABOUT_TABLE, ...APPLICATIONS];
  return Object.fromEntries(Object.entries(options).filter(([name, value]) => value !== undefined && !ours.includes(name)));
}

function checkCombination(read: OptionReader): void {
  const given = [...APPLICATIONS, 'url', 'type'].filter((name) => read.raw(name) !== undefined);
  const [first = '', second] = given;
  if (second !== undefined && APPLICATIONS.includes(first))
    read.fault(second, read.raw(second), `nothing beside '${first}', which already says which database it is`);
}

function isDataSource(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'createQueryRunner' in value && 'isInitialized' in value;
}
