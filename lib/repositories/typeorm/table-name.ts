import { kindOf } from '../../common/redact.js';
import { SessionOptionsError } from '../../errors.js';
import type { SqlDataSource } from './data-source.types.js';

/**
 * What may be the name of a table or a schema. Quoted names could be more, but the length leaves room for the names of the
 * indexes within the 63 bytes that PostgreSQL has for a name.
 */
const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_$-]{0,47}$/;

export const DEFAULT_TABLE = 'sessions';

export const TABLE_RULE = "a name, or 'schema.table', of up to 48 letters, digits, '_', '$' and '-' each";

export function isIdentifier(value: unknown): boolean {
  return typeof value === 'string' && IDENTIFIER.test(value);
}

export function isTableName(value: unknown): boolean {
  if (typeof value !== 'string') return false;
  const parts = value.split('.');
  return parts.length <= 2 && parts.every(isIdentifier);
}

/** Where the sessions stand. Without a schema, it is the one that the connection takes by itself. */
export interface TableName {
  readonly schema?: string | undefined;
  readonly name: string;
}

/**
 * @param given as in `'sessions'` or `'app.sessions'`; the latter goes before `schema`.
 * @throws TypeError for a name that no table can have here.
 */
export function toTableName(given: string, schema?: string): TableName {
  if (!isTableName(given)) throw new TypeError(`[ServerSession] a table is ${TABLE_RULE}; given: ${kindOf(given)}`);
  const [first = given, second] = given.split('.');
  return second === undefined ? { schema, name: first } : { schema: first, name: second };
}

/**
 * The table as TypeORM would name it for an entity of this DataSource.
 *
 * @throws SessionOptionsError when the prefix of the DataSource makes a name of it that no table can have here.
 */
export function tableOf({ options }: SqlDataSource, table = DEFAULT_TABLE, schema?: string): TableName {
  const given = toTableName(table, schema ?? options.schema);
  const name = `${options.entityPrefix ?? ''}${given.name}`;
  if (!isIdentifier(name))
    throw new SessionOptionsError([
      `'typeorm.table' is '${given.name}', which with the entityPrefix of the DataSource is not ${TABLE_RULE}`,
    ]);
  return { ...given, name };
}

/** A table's name as it stands in statements. */
export function quotePath(quote: (name: string) => string, { schema, name }: TableName): string {
  return schema === undefined ? quote(name) : `${quote(schema)}.${quote(name)}`;
}
