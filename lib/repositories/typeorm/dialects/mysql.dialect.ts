import type { SqlSession } from '../sql-session.js';
import { sql, text, type Sql } from '../sql-statement.js';
import { errorMember, qualified, type Dialect, type NewRow } from './dialect.js';

const DUPLICATE_KEY = 1062;
const NO_SUCH_TABLE = 1146;
/** Deadlock; and MariaDB's "record has changed since last read". */
const REPEATABLE = new Set<unknown>([1213, 1020]);

/** MySQL and MariaDB. */
export const mysqlDialect: Dialect = {
  name: 'MySQL',
  driver: 'mysql2',
  ownOptions: (timeout) => ({ connectTimeout: timeout }),
  hasOneConnection: false,

  placeholder: () => '?',
  quote: (name) => `\`${name}\``,

  // Not UNIX_TIMESTAMP(NOW()): that goes through the time zone of the connection, where an hour comes twice in autumn.
  now: text(`TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000`),
  // The collation tells case and accents apart, but not how many spaces stand at the end.
  isPrincipal: (principal) => sql`principal = ${principal} AND CHAR_LENGTH(principal) = CHAR_LENGTH(${principal})`,
  isHandleFrom: (start) => sql`SUBSTR(id, ${text(String(start))}) REGEXP '^[A-Za-z0-9_-]+$'`,

  insert: async (session, table, row) => {
    if (await insertNew(session, table, row)) return true;
    // The id is taken; only where an expired row holds it there is a second try.
    const { affected } = await session.change(sql`DELETE FROM ${table} WHERE id = ${row.id} AND expires_at <= ${mysqlDialect.now}`);
    return affected > 0 && insertNew(session, table, row);
  },

  // There is no RETURNING for updates. Touched first and then read, the record cannot have expired in between.
  touch: async (session, table, columns, id, ttl) => {
    const { now } = mysqlDialect;
    await session.change(sql`UPDATE ${table} SET expires_at = ${now} + ${ttl} WHERE id = ${id} AND expires_at > ${now}`);
    const { rows } = await session.query(sql`SELECT ${columns} FROM ${table} WHERE id = ${id} AND expires_at > ${now}`);
    return rows[0];
  },

  purge: async (session, { table, within, batch }) => {
    // The name has to be unique in the whole server, and no longer than 64 characters.
    const lock = sql`CONCAT('server-session:', SHA1(CONCAT(DATABASE(), ' ', ${table.toText(String)})))`;
    const { rows } = await session.query<{ mine: number | string | null }>(sql`SELECT GET_LOCK(${lock}, 0) AS mine`);
    if (Number(rows[0]?.mine) !== 1) return 0;
    try {
      const statement = sql`
        DELETE FROM ${table} WHERE expires_at <= ${mysqlDialect.now} AND ${within}
        ORDER BY expires_at LIMIT ${text(String(batch))}`;
      return (await session.change(statement)).affected;
    } finally {
      await session.query(sql`SELECT RELEASE_LOCK(${lock})`);
    }
  },

  tableStatements: (table) => [
    `CREATE TABLE IF NOT EXISTS ${qualified(mysqlDialect, table)} (
  \`id\` varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL PRIMARY KEY,
  \`version\` bigint NOT NULL,
  \`payload\` mediumblob NOT NULL,
  \`expires_at\` bigint NOT NULL,
  \`principal\` varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
  KEY \`${table.name}_principal_idx\` (\`principal\`, \`id\`),
  KEY \`${table.name}_expires_at_idx\` (\`expires_at\`)
) ENGINE = InnoDB`,
  ],

  createTable: async (session, table) => {
    for (const statement of mysqlDialect.tableStatements(table)) await session.query(text(statement));
  },

  isMissingTable: (error) => errorMember(error, 'errno') === NO_SUCH_TABLE,
  isRepeatable: (error) => REPEATABLE.has(errorMember(error, 'errno')),
  prepareDataSource: () => undefined,
  abandon: (connection) => (connection as { destroy?: () => void }).destroy?.(),
};

/** @returns false when the id is taken. */
async function insertNew(session: SqlSession, table: Sql, { id, payload, ttl, principal }: NewRow): Promise<boolean> {
  try {
    await session.change(sql`
      INSERT INTO ${table} (id, version, payload, expires_at, principal)
      VALUES (${id}, 1, ${payload}, ${mysqlDialect.now} + ${ttl}, ${principal})`);
    return true;
  } catch (error) {
    if (errorMember(error, 'errno') === DUPLICATE_KEY) return false;
    throw error;
  }
}
