import type { SqlSession } from '../sql-session.js';
import { sql, type Sql } from '../sql-statement.js';
import type { Dialect, NewRow, SessionRow } from './dialect.js';

/** For databases with `ON CONFLICT`: an insert that may take the place of an expired row, and of no other. */
export async function insertOnConflict({ now }: Dialect, session: SqlSession, table: Sql, row: NewRow): Promise<boolean> {
  const { affected } = await session.change(sql`
    INSERT INTO ${table} AS held (id, version, payload, expires_at, principal)
    VALUES (${row.id}, 1, ${row.payload}, ${now} + ${row.ttl}, ${row.principal})
    ON CONFLICT (id) DO UPDATE SET
      version = excluded.version, payload = excluded.payload, expires_at = excluded.expires_at, principal = excluded.principal
    WHERE held.expires_at <= ${now}`);
  return affected > 0;
}

/** For databases with `UPDATE … RETURNING`. */
export async function touchReturning(
  { now }: Dialect,
  session: SqlSession,
  table: Sql,
  columns: Sql,
  id: string,
  ttl: number,
): Promise<SessionRow | undefined> {
  const { rows } = await session.change(sql`
    UPDATE ${table} SET expires_at = ${now} + ${ttl} WHERE id = ${id} AND expires_at > ${now} RETURNING ${columns}`);
  return rows[0];
}
