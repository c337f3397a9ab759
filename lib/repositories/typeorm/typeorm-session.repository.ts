import { setImmediate as nextTurn } from 'node:timers/promises';
import { UnreadableRecordError } from '../../errors.js';
import type { RepositoryContext } from '../repository.factory.js';
import {
  SessionRepository,
  type ListableSessionRepository,
  type ListQuery,
  type RecordPage,
  type SessionRecord,
  type SessionVersion,
  type StoredRecord,
  type UpdateResult,
} from '../session-repository.js';
import { dataSourceFinder, type FindDataSource } from './data-source-finder.js';
import { qualified, type Dialect, type SessionRow } from './dialects/dialect.js';
import { ensureTable } from './sessions-table.js';
import { SqlConnection } from './sql-connection.js';
import type { SqlSession } from './sql-session.js';
import { sql, text, type Sql } from './sql-statement.js';
import { toTableName, type TableName } from './table-name.js';

/** As many characters as the column takes. */
const LONGEST_PRINCIPAL = 255;
/** The next character after the last one that a handle can have. */
const AFTER_HANDLES = '{';
const PURGE_BATCH = 500;
const FIRST_VERSION = '1';

/**
 * One row a session, and single statements without transactions, so that nothing depends on the isolation that the database or
 * the application has chosen. All times come from the database's own clock.
 */
export class TypeormSessionRepository extends SessionRepository implements ListableSessionRepository {
  private readonly tableName: TableName;
  private readonly mayCreate: boolean;
  private database: { readonly dialect: Dialect; readonly table: Sql; readonly connection: SqlConnection } | undefined;

  private constructor(
    private readonly find: FindDataSource,
    private readonly prefix: string,
    private readonly timeout: number,
    { table = 'sessions', schema, createTable = true }: NonNullable<RepositoryContext['options']['typeorm']>,
  ) {
    super();
    this.tableName = toTableName(table, schema);
    this.mayCreate = createTable;
  }

  /** @throws MissingPackageError for a package that the options need; SessionOptionsError for options that name no database. */
  static async create(context: RepositoryContext): Promise<TypeormSessionRepository> {
    const { keyPrefix, storeTimeout, typeorm = {} } = context.options;
    return new TypeormSessionRepository(await dataSourceFinder(context), keyPrefix, storeTimeout, typeorm);
  }

  /** @throws SessionOptionsError when the application has no such DataSource. A database that does not answer comes later. */
  override async onModuleInit(): Promise<void> {
    const holder = this.find();
    const { dialect } = holder;
    const { tableName, mayCreate } = this;
    const prepare = (session: SqlSession): Promise<void> => ensureTable(session, dialect, tableName, mayCreate);
    const connection = new SqlConnection(holder, this.timeout, prepare);
    this.database = { dialect, table: text(qualified(dialect, tableName)), connection };
    // It has been logged, and is tried again when it is needed.
    await connection.ready().catch(() => undefined);
  }

  override async onApplicationShutdown(): Promise<void> {
    await this.database?.connection.close();
  }

  override async create(handle: string, record: SessionRecord, ttl: number): Promise<SessionVersion | undefined> {
    const { dialect, table, connection } = this.opened;
    const row = { id: this.prefix + handle, payload: record.payload, principal: toPrincipal(record), ttl: toTtl(ttl) };
    return connection.use(async (session) => ((await dialect.insert(session, table, row)) ? FIRST_VERSION : undefined));
  }

  override async read(handle: string, touch?: number): Promise<StoredRecord | undefined> {
    const { dialect, table, connection } = this.opened;
    const id = this.prefix + handle;
    const row = await connection.use(async (session) => {
      if (touch !== undefined) return dialect.touch(session, table, this.columns, id, toTtl(touch));
      const { rows } = await session.query(sql`SELECT ${this.columns} FROM ${table} WHERE id = ${id} AND ${this.isAlive}`);
      return rows[0];
    });
    return row && toStoredRecord(row);
  }

  override async update(handle: string, record: SessionRecord, base: SessionVersion, ttl: number): Promise<UpdateResult> {
    const { dialect, table, connection } = this.opened;
    const id = this.prefix + handle;
    const version = Number(base) + 1;
    const expiry = sql`${dialect.now} + ${toTtl(ttl)}`;
    const principal = toPrincipal(record);
    return connection.use(async (session) => {
      const { affected } = await session.change(sql`
        UPDATE ${table} SET version = ${version}, payload = ${record.payload}, expires_at = ${expiry}, principal = ${principal}
        WHERE id = ${id} AND version = ${base} AND ${this.isAlive}`);
      if (affected > 0) return { status: 'updated', version: String(version) };
      const { rows } = await session.query(sql`SELECT version FROM ${table} WHERE id = ${id} AND ${this.isAlive}`);
      return { status: rows.length > 0 ? 'conflict' : 'gone' };
    });
  }

  override async delete(handle: string, base?: SessionVersion): Promise<boolean> {
    const { table, connection } = this.opened;
    const isBase = base === undefined ? text('1 = 1') : sql`version = ${base}`;
    return connection.use(async (session) => {
      const { affected } = await session.change(
        sql`DELETE FROM ${table} WHERE id = ${this.prefix + handle} AND ${isBase} AND ${this.isAlive}`,
      );
      return affected > 0;
    });
  }

  async list({ principal, cursor = '', limit }: ListQuery): Promise<RecordPage> {
    const { table, connection } = this.opened;
    const { rows } = await connection.use((session) =>
      session.query(sql`
        SELECT ${this.columns} FROM ${table} WHERE ${this.isOurs(cursor)} AND ${this.belongsTo(principal)} AND ${this.isAlive}
        ORDER BY id LIMIT ${text(String(Math.max(1, Math.trunc(limit))))}`),
    );
    const records = rows.map((row) => Object.assign(toStoredRecord(row), { handle: row.id.slice(this.prefix.length) }));
    return { records, cursor: records.length < limit ? undefined : records.at(-1)?.handle };
  }

  async count({ principal }: { readonly principal?: string | undefined }): Promise<number> {
    const { table, connection } = this.opened;
    const { rows } = await connection.use((session) =>
      session.query<{ total: number | string }>(
        sql`SELECT count(*) AS total FROM ${table} WHERE ${this.isOurs()} AND ${this.belongsTo(principal)} AND ${this.isAlive}`,
      ),
    );
    return Number(rows[0]?.total ?? 0);
  }

  override async purgeExpired(): Promise<number> {
    const { dialect, table, connection } = this.opened;
    const order = { table, within: this.isOurs(), batch: PURGE_BATCH };
    // Each batch is an operation with a time and a connection of its own, and lets others have their turn in between.
    for (let removed = 0; ;) {
      const batch = await connection.use((session) => dialect.purge(session, order));
      removed += batch;
      if (batch < PURGE_BATCH) return removed;
      await nextTurn();
    }
  }

  private get opened(): { readonly dialect: Dialect; readonly table: Sql; readonly connection: SqlConnection } {
    if (this.database === undefined) throw new Error('[ServerSession] the typeorm back end is used before onModuleInit');
    return this.database;
  }

  private get columns(): Sql {
    return sql`id, version, payload, principal, expires_at - (${this.opened.dialect.now}) AS remaining`;
  }

  private get isAlive(): Sql {
    return sql`expires_at > ${this.opened.dialect.now}`;
  }

  /**
   * A range, for the index, and then the form of a handle: another application's prefix may begin with ours.
   *
   * @param after the handle to begin behind.
   */
  private isOurs(after = ''): Sql {
    const { prefix } = this;
    const { dialect } = this.opened;
    return sql`id > ${prefix + after} AND id < ${prefix + AFTER_HANDLES} AND ${dialect.isHandleFrom(prefix.length + 1)}`;
  }

  private belongsTo(principal: string | undefined): Sql {
    return principal === undefined ? text('1 = 1') : this.opened.dialect.isPrincipal(principal);
  }
}

function toStoredRecord({ version, payload, principal, remaining }: SessionRow): StoredRecord {
  if (!(payload instanceof Uint8Array)) throw new UnreadableRecordError('the column payload does not hold bytes');
  return { version: String(version), payload, principal: principal ?? undefined, remaining: Math.max(1, Number(remaining)) };
}

/** Whole milliseconds, at least one. */
function toTtl(milliseconds: number): number {
  return Math.max(1, Math.ceil(milliseconds));
}

/** A database may cut a longer one without a word, and then it would be somebody else's. */
function toPrincipal({ principal }: SessionRecord): string | null {
  if (principal !== undefined && principal.length > LONGEST_PRINCIPAL)
    throw new Error(`[ServerSession] the principal has ${principal.length} characters; the sessions table takes ${LONGEST_PRINCIPAL}`);
  return principal ?? null;
}
