import { quotePath } from '../table-name.js';
import { errorMember, type Dialect, type SqlResult } from './dialect.js';

const UNDEFINED_TABLE = '42P01';
const UNDEFINED_COLUMN = '42703';
const UNIQUE_VIOLATION = '23505';
const READ_ONLY_TRANSACTION = '25006';
/** Serialization failure, and deadlock. */
const REPEATABLE = new Set<unknown>(['40001', '40P01']);
/** How long a change of the table may wait for others to be done with it: meanwhile, all others wait for it. */
const LOCK_TIMEOUT = '2s';

/** What is used of pg. */
interface Client {
  readonly connection?: { readonly stream?: { destroy?(): void } };
  query<Row>(text: string, values: readonly unknown[]): Promise<{ rows?: Row[]; rowCount?: number | null }>;
  on(event: 'error', listener: () => void): void;
  end(): Promise<void>;
}
interface Pool {
  on(event: 'connect', listener: (client: Client) => void): void;
}

const quote = (name: string): string => `"${name}"`;

export const postgresDialect: Dialect = {
  name: 'PostgreSQL',
  driver: 'pg',
  ownOptions: (timeout) => ({ connectTimeoutMS: timeout, extra: { keepAlive: true } }),

  // The moment itself, and not the start of the transaction or of the statement, which may have waited for a lock. In a subquery,
  // because an index serves only what is the same for all rows.
  now: '(SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint)',
  startOfStatement: 'floor(extract(epoch FROM statement_timestamp()) * 1000)::bigint',
  least: 'LEAST',
  isPrincipal: 'principal = :principal',
  isHandleFrom: (start) => `substr(id, ${start}) ~ '^[A-Za-z0-9_-]+$'`,
  hasReturning: true,
  // Sorted and without waiting, so that two processes that purge at the same time cannot block each other.
  isOneOfFree: (table) => `id IN (SELECT id FROM ${table} WHERE id IN (:...ids) ORDER BY id FOR UPDATE SKIP LOCKED)`,

  hasSchemas: true,
  columns: {
    key: { type: 'varchar', length: '255', collation: 'C' },
    number: { type: 'bigint' },
    bytes: { type: 'bytea' },
    principal: { type: 'varchar', length: '512', collation: 'C' },
  },
  createStatements: (table) => {
    const path = quotePath(quote, table);
    return [
      `CREATE TABLE IF NOT EXISTS ${path} (
  "id" varchar(255) COLLATE "C" NOT NULL PRIMARY KEY,
  "version" bigint NOT NULL,
  "payload" bytea NOT NULL,
  "expires_at" bigint NOT NULL,
  "principal" varchar(512) COLLATE "C",
  "purge_at" bigint NOT NULL DEFAULT 0
)`,
      `CREATE INDEX IF NOT EXISTS "${table.name}_principal_idx" ON ${path} ("principal", "id")`,
      `CREATE INDEX IF NOT EXISTS "${table.name}_purge_at_idx" ON ${path} ("purge_at", "id")`,
    ];
  },
  upgradeStatements: (table) => {
    const path = quotePath(quote, table);
    return [
      `ALTER TABLE ${path} ALTER COLUMN "principal" TYPE varchar(512) COLLATE "C"`,
      `ALTER TABLE ${path} ADD COLUMN IF NOT EXISTS "purge_at" bigint NOT NULL DEFAULT 0`,
      `CREATE INDEX IF NOT EXISTS "${table.name}_purge_at_idx" ON ${path} ("purge_at", "id")`,
      `DROP INDEX IF EXISTS ${quotePath(quote, { ...table, name: `${table.name}_expires_at_idx` })}`,
    ];
  },
  // `IF NOT EXISTS` alone is no protection: two at once fail over the same entry in the catalogue.
  lockedGroup: {
    begin: (table) => [
      'BEGIN',
      `SET LOCAL lock_timeout = '${LOCK_TIMEOUT}'`,
      `SELECT pg_advisory_xact_lock(hashtext('create ${quotePath(quote, table)}'))`,
    ],
    end: 'COMMIT',
    undo: 'ROLLBACK',
  },

  execute: async <Row>(
    connection: unknown,
    statement: { readonly text: string },
    parameters: readonly unknown[],
  ): Promise<SqlResult<Row>> => {
    const { rows = [], rowCount } = await (connection as Client).query<Row>(statement.text, parameters);
    return { rows, affected: rowCount ?? 0 };
  },
  // To end it is to tell the server, and then to wait for its good-bye, which does not come where the network is broken.
  abandon: (connection) => {
    const client = connection as Client;
    client.end().catch(() => undefined);
    client.connection?.stream?.destroy?.();
  },
  // Between the moment when the pool has a new connection and the one when TypeORM listens for its errors, no one does. A
  // server that goes away just then would end the process with an unhandled 'error' event.
  watch: ({ driver }, onConnection) => {
    const pool = (driver as { master?: Pool }).master;
    pool?.on('connect', (client) => {
      client.on('error', () => undefined);
      onConnection(client);
    });
    return pool !== undefined;
  },

  isMissingTable: (error) => errorMember(error, 'code') === UNDEFINED_TABLE,
  isMissingColumn: (error) => errorMember(error, 'code') === UNDEFINED_COLUMN,
  isAlreadyDone: () => false,
  isDuplicate: (error) => errorMember(error, 'code') === UNIQUE_VIOLATION,
  isRepeatable: (error) => REPEATABLE.has(errorMember(error, 'code')),
  isReadOnly: (error) => errorMember(error, 'code') === READ_ONLY_TRANSACTION,
};
