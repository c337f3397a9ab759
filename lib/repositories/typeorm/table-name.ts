/**
 * What may be the name of a table or a schema. Quoted names could be more, but the length leaves room for the names of the
 * indexes within the 63 bytes that PostgreSQL has for a name.
 */
const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_$-]{0,47}$/;

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

/** @param given as in `'sessions'` or `'app.sessions'`; the latter goes before `schema`. */
export function toTableName(given: string, schema?: string): TableName {
  const [first = given, second] = given.split('.');
  return second === undefined ? { schema, name: first } : { schema: first, name: second };
}
