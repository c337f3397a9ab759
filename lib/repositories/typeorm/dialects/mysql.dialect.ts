import type { Statement } from '../statement.js';
import { quotePath } from '../table-name.js';
import { errorMember, type Dialect, type SqlResult, type SqlValue } from './dialect.js';

const NO_SUCH_TABLE = 1146;
const UNKNOWN_COLUMN = 1054;
const DUPLICATE_KEY = 1062;
/** A column or an index of this name exists, or one to drop does not. */
const ALREADY_DONE = new Set<unknown>([1060, 1061, 1091]);
/** Deadlock; and MariaDB's "record has changed since last read". */
const REPEATABLE = new Set<unknown>([1213, 1020]);
/** The server, the transaction, or InnoDB is read-only. */
const READ_ONLY = new Set<unknown>([1290, 1792, 1836]);

/** What is used of mysql2, and of the older mysql, which cannot prepare statements. */
interface Connection {
  query: Run;
  execute?: Run;
  destroy?(): void;
}
type Run = (text: string, values: readonly SqlValue[], done: (error: Error | null, result: unknown) => void) => void;
interface Pool {
  on(event: 'connection', listener: (connection: object) => void): void;
}

// Not UNIX_TIMESTAMP(NOW()): that goes through the time zone of the connection, where an hour comes twice in autumn.
const NOW = `TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000`;

const quote = (name: string): string => `\`${name}\``;

/** MySQL and MariaDB. */
export const mysqlDialect: Dialect = {
  name: 'MySQL',
  driver: 'mysql2',
  ownOptions: (timeout) => ({ connectTimeout: timeout }),

  now: NOW,
  startOfStatement: NOW,
  least: 'LEAST',
  // The collation tells case and accents apart, but not how many spaces stand at the end.
  isPrincipal: 'principal = :principal AND CHAR_LENGTH(principal) = CHAR_LENGTH(:principal)',
  isHandleFrom: (start) => `SUBSTR(id, ${start}) REGEXP '^[A-Za-z0-9_-]+$'`,
  hasReturning: false,
  isOneOfFree: () => 'id IN (:...ids)',

  hasSchemas: false,
  columns: {
    key: { type: 'varchar', length: '255', charset: 'utf8mb4', collation: 'utf8mb4_bin' },
    number: { type: 'bigint' },
    bytes: { type: 'mediumblob' },
    principal: { type: 'varchar', length: '512', charset: 'utf8mb4', collation: 'utf8mb4_bin' },
  },
  createStatements: (table) => [
    `CREATE TABLE IF NOT EXISTS ${quotePath(quote, table)} (
  \`id\` varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL PRIMARY KEY,
  \`version\` bigint NOT NULL,
  \`payload\` mediumblob NOT NULL,
  \`expires_at\` bigint NOT NULL,
  \`principal\` varchar(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
  \`purge_at\` bigint NOT NULL DEFAULT 0,
  KEY \`${table.name}_principal_idx\` (\`principal\`, \`id\`),
  KEY \`${table.name}_purge_at_idx\` (\`purge_at\`, \`id\`)
) ENGINE = InnoDB`,
  ],
  // MariaDB has IF EXISTS for these, MySQL does not.
  upgradeStatements: (table) => {
    const path = quotePath(quote, table);
    return [
      `ALTER TABLE ${path} MODIFY \`principal\` varchar(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,
      `ALTER TABLE ${path} ADD COLUMN \`purge_at\` bigint NOT NULL DEFAULT 0`,
      `CREATE INDEX \`${table.name}_purge_at_idx\` ON ${path} (\`purge_at\`, \`id\`)`,
      `DROP INDEX \`${table.name}_expires_at_idx\` ON ${path}`,
    ];
  },

  execute: <Row>(connection: unknown, { text }: Statement, parameters: readonly SqlValue[]) => {
    const client = connection as Connection;
    return new Promise<SqlResult<Row>>((resolve, reject) => {
      const done = (error: Error | null, result: unknown): void => {
        if (error) reject(error);
        else if (Array.isArray(result)) resolve({ rows: result as Row[], affected: 0 });
        else resolve({ rows: [], affected: (result as { affectedRows?: number }).affectedRows ?? 0 });
      };
      // Prepared, so that the payload is sent as it is, and no client-side escaping depends on the server's SQL mode.
      if (client.execute === undefined || parameters.length === 0) client.query(text, parameters, done);
      else client.execute(text, parameters, done);
    });
  },
  abandon: (connection) => (connection as Connection).destroy?.(),
  watch: ({ driver }, onConnection) => {
    const { pool } = driver as { pool?: Pool };
    pool?.on('connection', onConnection);
    return pool !== undefined;
  },

  isMissingTable: (error) => errorMember(error, 'errno') === NO_SUCH_TABLE,
  isMissingColumn: (error) => errorMember(error, 'errno') === UNKNOWN_COLUMN,
  isAlreadyDone: (error) => ALREADY_DONE.has(errorMember(error, 'errno')),
  isDuplicate: (error) => errorMember(error, 'errno') === DUPLICATE_KEY,
  isRepeatable: (error) => REPEATABLE.has(errorMember(error, 'errno')),
  isReadOnly: (error) => READ_ONLY.has(errorMember(error, 'errno')),
};
