import { connect, type Socket } from 'node:net';
import { askRedis } from '../../servers/redis-recipe.js';
import type { TestServer } from '../../servers/index.js';

/** Turns a condition of a store on or off. */
export type Condition = (isOn: boolean) => Promise<void>;

/** What a back end can get into, beside what can happen to any server. */
export interface Conditions {
  /** There is no room for more. */
  readonly full?: Condition;
  /** Changes are refused. */
  readonly readOnly?: Condition;
  /** Connections lead to where changes are refused, and stay there after the end. */
  readonly demoted?: Condition;
}

/** A port on which nothing listens. */
const NOWHERE = ['127.0.0.1', '1'] as const;

export const redisConditions = ({ url }: TestServer): Conditions => ({
  full: (isOn) =>
    askRedis(url, async (client) => {
      await client.config('SET', 'maxmemory-policy', 'noeviction', 'maxmemory', isOn ? '1mb' : '0');
    }),
  readOnly: (isOn) =>
    askRedis(url, async (client) => {
      await (isOn ? client.replicaof(...NOWHERE) : client.replicaof('NO', 'ONE'));
    }),
});

/** Milliseconds from one batch of values to the next, and values of a batch: some 20 MB a second. */
const BATCH_INTERVAL = 20;
const BATCH = 1_000;

/** Values of other programs, over and over again: the server drops what was unused for longest. */
export const memcachedConditions = ({ host, port }: TestServer): Conditions => {
  let timer: NodeJS.Timeout | undefined;
  let socket: Socket | undefined;
  let sent = 0;
  const fill = (): void => {
    // The server is busy.
    if (socket === undefined || socket.writableNeedDrain) return;
    let batch = '';
    for (const end = sent + BATCH; sent < end; sent++) {
      // Of the sizes that sessions have here.
      const size = 100 + ((sent * 37) % 700);
      batch += `set ballast${sent} 0 0 ${size} noreply\r\n${'x'.repeat(size)}\r\n`;
    }
    socket.write(batch);
  };
  return {
    full: async (isOn) => {
      clearInterval(timer);
      socket?.destroy();
      if (!isOn) return;
      socket = connect(port, host).on('error', () => undefined);
      timer = setInterval(fill, BATCH_INTERVAL);
    },
  };
};

/** Asks as an administrator, who may write where others may not. */
export async function askPostgres({ url }: TestServer, ...statements: string[]): Promise<void> {
  const { default: pg } = await import('pg');
  const client = new pg.Client({ connectionString: url, options: '-c default_transaction_read_only=off' });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}

export const postgresConditions = (server: TestServer): Conditions => {
  const others = 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE client_port IS NOT NULL AND pid <> pg_backend_pid()';
  return {
    readOnly: (isOn) =>
      askPostgres(server, `ALTER SYSTEM SET default_transaction_read_only = ${isOn ? 'on' : 'off'}`, 'SELECT pg_reload_conf()'),
    demoted: (isOn) =>
      askPostgres(server, `ALTER ROLE CURRENT_USER SET default_transaction_read_only = ${isOn ? 'on' : 'off'}`, ...(isOn ? [others] : [])),
  };
};

/** The user of the sessions, who may not write where the server is read-only, as root may. */
export const MARIADB_USER = 'sessions';

/** Asks as root. */
export async function askMariaDb({ url }: TestServer, ...statements: string[]): Promise<void> {
  const { createConnection } = await import('mysql2/promise');
  const connection = await createConnection({ uri: url });
  try {
    for (const statement of statements) await connection.query(statement);
  } finally {
    connection.destroy();
  }
}

export const mariadbConditions = async (server: TestServer): Promise<Conditions> => {
  await askMariaDb(server, `CREATE USER IF NOT EXISTS '${MARIADB_USER}'@'%'`, `GRANT ALL ON test.* TO '${MARIADB_USER}'@'%'`);
  return {
    readOnly: (isOn) => askMariaDb(server, `SET GLOBAL read_only = ${isOn ? 1 : 0}`),
    demoted: (isOn) =>
      askMariaDb(
        server,
        `SET GLOBAL TRANSACTION READ ${isOn ? 'ONLY' : 'WRITE'}`,
        ...(isOn ? [`KILL CONNECTION USER ${MARIADB_USER}`] : []),
      ),
  };
};
