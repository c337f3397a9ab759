import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findCompanion } from './find-binary.js';
import type { NativePlace, Recipe } from './recipe.js';
import { runCommand } from './run-command.js';
import { startServer } from './start-server.js';
import { copyTemplate } from './template-folder.js';
import type { TestServer } from './test-server.js';

export interface MariaDbOptions {
  /** The server's time zone as an offset ("+05:30"); "+00:00" unless told otherwise. */
  readonly timeZone?: string;
  /** Write to disk for real, for tests that kill the server. */
  readonly durable?: boolean;
  /** More arguments for `mariadbd`. */
  readonly args?: readonly string[];
}

const INIT_FILE = 'init.sql';
const INIT_SQL = `CREATE USER IF NOT EXISTS 'root'@'127.0.0.1' IDENTIFIED BY '';
GRANT ALL ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION;
CREATE DATABASE IF NOT EXISTS test;
`;
// A small log is quick to copy; the server has to agree with the template about its size.
const LOG_SIZE = '--innodb-log-file-size=8M';

export async function startMariaDb(options: MariaDbOptions = {}): Promise<TestServer> {
  return startServer(recipe(options), {
    needsOwn: { timeZone: options.timeZone, args: options.args },
  });
}

function recipe({ timeZone = '+00:00', durable = false, args = [] }: MariaDbOptions): Recipe {
  const settings = [
    `--default-time-zone=${timeZone}`,
    '--skip-log-bin',
    '--performance-schema=OFF',
    '--innodb-buffer-pool-size=32M',
    LOG_SIZE,
    ...(durable ? ['--innodb-flush-log-at-trx-commit=1'] : ['--innodb-flush-log-at-trx-commit=0', '--skip-innodb-doublewrite']),
    ...args,
  ];
  return {
    kind: 'mariadb',
    user: 'mysql',
    keepsData: () => true,
    prepare,
    args: ({ data, port, user }) => [
      '--no-defaults',
      `--datadir=${data}`,
      `--port=${port}`,
      '--bind-address=127.0.0.1',
      // The host part of an account is then the address, and no name server is asked.
      '--skip-name-resolve',
      `--socket=${join(data, 's')}`,
      `--pid-file=${join(data, 'pid')}`,
      `--init-file=${join(data, INIT_FILE)}`,
      ...(user === undefined ? [] : [`--user=${user.name}`]),
      ...settings,
    ],
    container: {
      innerPort: 3306,
      dataFolder: '/var/lib/mysql',
      env: {
        MARIADB_ALLOW_EMPTY_ROOT_PASSWORD: '1',
        MARIADB_ROOT_HOST: '%',
        MARIADB_DATABASE: 'test',
      },
      args: () => ['mariadbd', ...settings],
    },
    url: (port) => `mysql://root@127.0.0.1:${port}/test`,
    probe,
  };
}

async function prepare({ target, data, user }: NativePlace): Promise<void> {
  const version = await runCommand(target, ['--no-defaults', '--version'], { timeout: 10_000 });
  await copyTemplate(version.trim(), data, user, async (folder) => {
    await runCommand(
      await findCompanion(target, 'mariadb-install-db'),
      [
        '--no-defaults',
        `--datadir=${folder}`,
        '--auth-root-authentication-method=normal',
        '--skip-test-db',
        '--skip-name-resolve',
        LOG_SIZE,
        ...(user === undefined ? [] : [`--user=${user.name}`]),
      ],
      { timeout: 120_000, cwd: folder },
    );
    await writeFile(join(folder, INIT_FILE), INIT_SQL);
  });
}

async function probe(url: string): Promise<string> {
  const { createConnection } = await import('mysql2/promise');
  const connection = await createConnection({ uri: url, connectTimeout: 4000 });
  connection.on('error', () => undefined);
  try {
    const [rows] = await connection.query('SELECT VERSION() AS version');
    const [row] = rows as { version: string }[];
    return row?.version ?? 'unknown';
  } finally {
    connection.destroy();
  }
}
