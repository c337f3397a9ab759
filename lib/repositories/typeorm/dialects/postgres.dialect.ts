import { sql, text } from '../sql-statement.js';
import { insertOnConflict, touchReturning } from './common-statements.js';
import { errorMember, qualified, type Dialect } from './dialect.js';

/** Serialization failure, and deadlock. */
const REPEATABLE = new Set<unknown>(['40001', '40P01']);
/** What is used of the pool of pg. */
interface Pool {
  on(event: 'connect', listener: (client: { on(event: 'error', listener: () => void): void }) => void): void;
}

const guarded = new WeakSet<Pool>();
const UNDEFINED_TABLE = '42P01';

export const postgresDialect: Dialect = {
  name: 'PostgreSQL',
  driver: 'pg',
  ownOptions: (timeout) => ({ connectTimeoutMS: timeout, extra: { keepAlive: true } }),
  hasOneConnection: false,

  placeholder: (position) => `$${position}`,
  quote: (name) => `"${name}"`,

  // The moment itself, and not the start of the transaction or of the statement, which may have waited for a lock.
  now: text('floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint'),
  isPrincipal: (principal) => sql`principal = ${principal}`,
  isHandleFrom: (start) => sql`substr(id, ${text(String(start))}) ~ '^[A-Za-z0-9_-]+$'`,

  insert: (session, table, row) => insertOnConflict(postgresDialect, session, table, row),
  touch: (session, table, columns, id, ttl) => touchReturning(postgresDialect, session, table, columns, id, ttl),

  purge: async (session, { table, within, batch }) => {
    // A lock until the end of the statement, not of the connection: a pooler such as PgBouncer may stand in between. The
    // time is asked for in a subquery, because an index does not serve an expression that changes from row to row.
    const statement = sql`
      WITH turn AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(hashtext(${`purge ${table.toText(String)}`})) AS mine)
      DELETE FROM ${table} WHERE (SELECT mine FROM turn) AND id IN (
        SELECT id FROM ${table} WHERE expires_at <= (SELECT ${postgresDialect.now}) AND ${within}
        ORDER BY expires_at LIMIT ${text(String(batch))} FOR UPDATE SKIP LOCKED)`;
    return (await session.change(statement)).affected;
  },

  tableStatements: (table) => {
    const path = qualified(postgresDialect, table);
    return [
      `CREATE TABLE IF NOT EXISTS ${path} (
  "id" varchar(255) COLLATE "C" NOT NULL PRIMARY KEY,
  "version" bigint NOT NULL,
  "payload" bytea NOT NULL,
  "expires_at" bigint NOT NULL,
  "principal" varchar(255) COLLATE "C"
)`,
      `CREATE INDEX IF NOT EXISTS "${table.name}_principal_idx" ON ${path} ("principal", "id")`,
      `CREATE INDEX IF NOT EXISTS "${table.name}_expires_at_idx" ON ${path} ("expires_at")`,
    ];
  },

  // `IF NOT EXISTS` alone is no protection: two at once fail over the same entry in the catalogue.
  createTable: (session, table) =>
    session.transaction(async () => {
      await session.query(sql`SELECT pg_advisory_xact_lock(hashtext(${`create ${qualified(postgresDialect, table)}`}))`);
      for (const statement of postgresDialect.tableStatements(table)) await session.query(text(statement));
    }),

  isMissingTable: (error) => errorMember(error, 'code') === UNDEFINED_TABLE,
  isRepeatable: (error) => REPEATABLE.has(errorMember(error, 'code')),
  prepareDataSource: ({ driver }) => guardNewConnections((driver as { master?: Pool }).master),
  // With a query under way, the driver cuts the connection at once.
  abandon: (connection) => {
    (connection as { end?: () => Promise<void> }).end?.().catch(() => undefined);
  },
};

/**
 * Between the moment when the pool hands out a new connection and the one when TypeORM listens for its errors, nobody does. A
 * server that goes away just then would end the process with an unhandled 'error' event.
 */
function guardNewConnections(pool: Pool | undefined): void {
  if (pool === undefined || guarded.has(pool)) return;
  guarded.add(pool);
  pool.on('connect', (client) => client.on('error', () => undefined));
}
