import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ModuleRef } from '@nestjs/core';
import { DataSource, type Logger } from 'typeorm';
import { resolveOptions } from '../../lib/options/resolve-options.js';
import type { TypeormSessionOptions } from '../../lib/repositories/typeorm/typeorm.options.js';
import { TypeormSessionRepository } from '../../lib/repositories/typeorm/typeorm-session.repository.js';
import { startMariaDb, startPostgres, type TestServer } from '../servers/index.js';

export interface MakeOptions {
  readonly keyPrefix?: string;
  readonly storeTimeout?: string;
}

/** A repository as the module would make it, not opened yet. For DataSources of an application there are the e2e tests. */
export function makeRepository(typeorm: TypeormSessionOptions, options: MakeOptions = {}): Promise<TypeormSessionRepository> {
  const moduleRef = {} as ModuleRef;
  return TypeormSessionRepository.create({ options: resolveOptions({ type: 'typeorm', typeorm, ...options }), moduleRef });
}

export async function openRepository(typeorm: TypeormSessionOptions, options?: MakeOptions): Promise<TypeormSessionRepository> {
  const repository = await makeRepository(typeorm, options);
  await repository.onModuleInit();
  return repository;
}

type SqlType = 'postgres' | 'mariadb' | 'better-sqlite3';

/** A real database, started when the tests begin. */
export interface Database {
  readonly name: string;
  readonly type: SqlType;
  readonly server: TestServer | undefined;
  readonly url: string;
  start(): Promise<void>;
  stop(): Promise<void>;
  /** A connected DataSource, as an application has it. */
  connect(options?: Record<string, unknown>): Promise<DataSource>;
}

abstract class TestDatabase implements Database {
  server: TestServer | undefined;
  abstract readonly name: string;
  abstract readonly type: SqlType;
  abstract readonly url: string;
  abstract start(): Promise<void>;
  abstract stop(): Promise<void>;

  connect(options: Record<string, unknown> = {}): Promise<DataSource> {
    const place = this.type === 'better-sqlite3' ? { database: this.url.replace('sqlite:///', '') } : { url: this.url };
    return new DataSource({ type: this.type, ...place, ...options } as ConstructorParameters<typeof DataSource>[0]).initialize();
  }
}

class ServerDatabase extends TestDatabase {
  constructor(
    readonly name: string,
    readonly type: 'postgres' | 'mariadb',
    private readonly launch: () => Promise<TestServer>,
  ) {
    super();
  }

  get url(): string {
    return (this.server?.url ?? '').replace(/^mysql:/, 'mariadb:');
  }

  async start(): Promise<void> {
    this.server = await this.launch();
  }

  async stop(): Promise<void> {
    await this.server?.stop();
  }
}

class SqliteDatabase extends TestDatabase {
  readonly name = 'sqlite';
  readonly type = 'better-sqlite3';
  private folder = '';

  get url(): string {
    return `sqlite:///${join(this.folder, 'sessions.db')}`;
  }

  async start(): Promise<void> {
    this.folder = await mkdtemp(join(tmpdir(), 'sessions-sqlite-'));
  }

  stop(): Promise<void> {
    return rm(this.folder, { recursive: true, force: true });
  }
}

export const postgres = (options?: Parameters<typeof startPostgres>[0]): Database =>
  new ServerDatabase('postgres', 'postgres', () => startPostgres(options));
export const mariadb = (options?: Parameters<typeof startMariaDb>[0]): Database =>
  new ServerDatabase('mariadb', 'mariadb', () => startMariaDb(options));
export const sqlite = (): Database => new SqliteDatabase();
export const allDatabases = (): Database[] => [postgres(), mariadb(), sqlite()];

/** What version 0.1 created. */
export const FIRST_TABLES: Readonly<Record<SqlType, (table: string) => string[]>> = {
  postgres: (table) => [
    `CREATE TABLE "${table}" (
  "id" varchar(255) COLLATE "C" NOT NULL PRIMARY KEY,
  "version" bigint NOT NULL,
  "payload" bytea NOT NULL,
  "expires_at" bigint NOT NULL,
  "principal" varchar(255) COLLATE "C"
)`,
    `CREATE INDEX "${table}_principal_idx" ON "${table}" ("principal", "id")`,
    `CREATE INDEX "${table}_expires_at_idx" ON "${table}" ("expires_at")`,
  ],
  mariadb: (table) => [
    `CREATE TABLE \`${table}\` (
  \`id\` varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL PRIMARY KEY,
  \`version\` bigint NOT NULL,
  \`payload\` mediumblob NOT NULL,
  \`expires_at\` bigint NOT NULL,
  \`principal\` varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
  KEY \`${table}_principal_idx\` (\`principal\`, \`id\`),
  KEY \`${table}_expires_at_idx\` (\`expires_at\`)
) ENGINE = InnoDB`,
  ],
  'better-sqlite3': (table) => [
    `CREATE TABLE "${table}" (
  "id" text NOT NULL PRIMARY KEY,
  "version" integer NOT NULL,
  "payload" blob NOT NULL,
  "expires_at" integer NOT NULL,
  "principal" text
)`,
    `CREATE INDEX "${table}_principal_idx" ON "${table}" ("principal", "id")`,
    `CREATE INDEX "${table}_expires_at_idx" ON "${table}" ("expires_at")`,
  ],
};

/**
 * Fills a table with sessions `h1`, `h2`, … of 5,000 users. Every other one has expired.
 *
 * @param payload how many bytes each has.
 */
export async function fillTable({ type }: Database, source: DataSource, table: string, rows: number, payload = 10): Promise<void> {
  const numbers = {
    postgres: `generate_series(1, ${rows}) AS numbers(i)`,
    mariadb: `(SELECT seq AS i FROM seq_1_to_${rows}) AS numbers`,
    'better-sqlite3': `(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows}) SELECT i FROM n) AS numbers`,
  }[type];
  const text = (prefix: string, number: string): string =>
    type === 'mariadb' ? `CONCAT('${prefix}', ${number})` : `'${prefix}' || ${number}`;
  const bytes = {
    postgres: `decode(repeat('78', ${payload}), 'hex')`,
    mariadb: `REPEAT('x', ${payload})`,
    'better-sqlite3': `zeroblob(${payload})`,
  }[type];
  const expiry = `CASE WHEN i % 2 = 0 THEN i ELSE ${Date.now() + 86_400_000} + i END`;
  await source.query(`
    INSERT INTO ${source.driver.escape(table)} (id, version, payload, expires_at, principal, purge_at)
    SELECT ${text('session:h', 'i')}, 1, ${bytes}, ${expiry}, ${text('user', 'i % 5000')}, ${expiry} FROM ${numbers}`);
  await source.query(type === 'mariadb' ? `ANALYZE TABLE ${source.driver.escape(table)}` : `ANALYZE ${source.driver.escape(table)}`);
}

/** Notes every statement that TypeORM gives to its driver. */
export class StatementLog implements Logger {
  readonly statements: string[] = [];

  logQuery(statement: string): void {
    this.statements.push(statement.trim());
  }
  logQueryError(): void {}
  logQuerySlow(): void {}
  logSchemaBuild(): void {}
  logMigration(): void {}
  log(): void {}

  /** The statements since the last call. */
  take(): string[] {
    return this.statements.splice(0);
  }
}
