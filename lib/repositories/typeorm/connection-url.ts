import type { SqlDatabaseType } from './dialects/dialects.js';

/** The scheme, perhaps with the name of a Python driver as SQLAlchemy has it: `postgresql+psycopg2`. */
const SCHEME = /^([a-z0-9]+)(?:\+\w+)?:(.*)$/is;

const TYPES: Readonly<Record<string, SqlDatabaseType>> = {
  postgres: 'postgres',
  postgresql: 'postgres',
  mysql: 'mysql',
  mariadb: 'mariadb',
  sqlite: 'better-sqlite3',
};

export const URL_RULE = 'a URL of postgres:, postgresql:, mysql:, mariadb: or sqlite:, as in postgres://user:password@host:5432/database';

/** What TypeORM needs to know instead of the URL; undefined for a URL of no database known here. */
export function fromConnectionUrl(
  url: string,
): { readonly type: SqlDatabaseType; readonly url: string } | { readonly type: SqlDatabaseType; readonly database: string } | undefined {
  const [, scheme = '', rest = ''] = SCHEME.exec(url) ?? [];
  const name = scheme.toLowerCase();
  if (!Object.hasOwn(TYPES, name)) return undefined;
  const type = TYPES[name] as SqlDatabaseType;
  if (type === 'better-sqlite3') return { type, database: toFile(rest) };
  return /^\/\/[^/]/.test(rest) ? { type, url: `${type}:${rest}` } : undefined;
}

/** As SQLAlchemy writes files: three slashes before a relative path, four before an absolute one, none at all for memory. */
function toFile(rest: string): string {
  const path = rest.startsWith('//') ? rest.slice(2).replace(/^\//, '') : rest;
  return path === '' ? ':memory:' : path;
}
