import { setImmediate as nextTurn } from 'node:timers/promises';
import { kindOf } from '../../common/redact.js';
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
import type { Dialect } from './dialects/dialect.js';
import { SessionsTable } from './sessions-table.js';
import { SqlConnection } from './sql-connection.js';
import type { SessionRow, SqlSession } from './sql-session.js';
import type { StatementValues } from './statement.js';
import type { DueRow, Statements } from './statements.js';
import type { TypeormSessionOptions } from './typeorm.options.js';

/** As many characters as the column takes. */
const LONGEST_PRINCIPAL = 512;
/** The next character after the last one that a handle can have. */
const AFTER_HANDLES = '{';
const HANDLE = /^[A-Za-z0-9_-]+$/;
const PURGE_BATCH = 500;
/** To count all rows may take that much longer than an operation on one of them. */
const PATIENCE = 10;
const FIRST_VERSION = '1';

interface OpenDatabase {
  readonly dialect: Dialect;
  readonly statements: Statements;
  readonly connection: SqlConnection;
}

/**
 * One row a session, and single statements without transactions, so that nothing depends on the isolation that the database or
 * the application has chosen. All times come from the database's own clock.
 */
export class TypeormSessionRepository extends SessionRepository implements ListableSessionRepository {
  private database: OpenDatabase | undefined;

  private constructor(
    private readonly find: FindDataSource,
    private readonly prefix: string,
    private readonly timeout: number,
    private readonly options: TypeormSessionOptions,
  ) {
    super();
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
    const table = new SessionsTable(holder, this.options, this.prefix);
    const connection = new SqlConnection(holder, this.timeout, table);
    this.database = { dialect, statements: table.statements, connection };
    // It has been logged, and is tried again when it is needed.
    await connection.ready().catch(() => undefined);
  }

  override async onApplicationShutdown(): Promise<void> {
    await this.database?.connection.close();
  }

  override async create(handle: string, record: SessionRecord, ttl: number): Promise<SessionVersion | undefined> {
    const { connection, statements } = this.opened;
    const row = { id: this.prefix + handle, ...toColumns(record), ttl: toTtl(ttl) };
    return connection.use(async (session) => {
      if (await this.insert(session, row)) return FIRST_VERSION;
      // The id is taken; only where an expired row holds it there is a second try.
      const { affected } = await session.run(statements.removeExpired, row);
      return affected > 0 && (await this.insert(session, row)) ? FIRST_VERSION : undefined;
    });
  }

  override async read(handle: string, touch?: number): Promise<StoredRecord | undefined> {
    const { dialect, statements, connection } = this.opened;
    const id = this.prefix + handle;
    const row = await connection.use(async (session) => {
      if (touch !== undefined) {
        const { rows } = await session.run(statements.touch, { id, ttl: toTtl(touch) });
        if (dialect.hasReturning) return rows[0];
      }
      // Touched first and then read, the record cannot have expired in between.
      const { rows } = await session.run(statements.read, { id });
      return rows[0];
    });
    return row && toStoredRecord(row);
  }

  override async update(handle: string, record: SessionRecord, base: SessionVersion, ttl: number): Promise<UpdateResult> {
    const { statements, connection } = this.opened;
    const id = this.prefix + handle;
    const version = Number(base) + 1;
    const values = { id, base, version, ...toColumns(record), ttl: toTtl(ttl) };
    return connection.use(async (session) => {
      const { affected } = await session.run(statements.update, values);
      if (affected > 0) return { status: 'updated', version: String(version) };
      const { rows } = await session.run(statements.readVersion, { id });
      return { status: rows.length > 0 ? 'conflict' : 'gone' };
    });
  }

  override async delete(handle: string, base?: SessionVersion): Promise<boolean> {
    const { statements, connection } = this.opened;
    const id = this.prefix + handle;
    return connection.use(async (session) => {
      const { affected } =
        base === undefined ? await session.run(statements.remove, { id }) : await session.run(statements.removeVersion, { id, base });
      return affected > 0;
    });
  }

  async list({ principal, cursor = '', limit }: ListQuery): Promise<RecordPage> {
    const { statements, connection } = this.opened;
    const size = Math.max(1, Math.trunc(limit));
    const values = this.oursAfter(onlyString(cursor), principal);
    const page = statements.list(size, principal !== undefined);
    const { rows } = await connection.use((session) => session.run(page, values));
    const records = rows.map((row) => Object.assign(toStoredRecord(row), { handle: row.id.slice(this.prefix.length) }));
    return { records, cursor: records.length < size ? undefined : records.at(-1)?.handle };
  }

  async count({ principal }: { readonly principal?: string | undefined }): Promise<number> {
    const { statements, connection } = this.opened;
    const statement = principal === undefined ? statements.countAll : statements.countOfPrincipal;
    const values = this.oursAfter('', principal);
    const { rows } = await connection.use((session) => session.run<{ total: number | string }>(statement, values), this.timeout * PATIENCE);
    return Number(rows[0]?.total ?? 0);
  }

  override async purgeExpired(): Promise<number> {
    const { statements, connection } = this.opened;
    const due = statements.due(PURGE_BATCH);
    // Each batch is an operation with a time and a connection of its own, and lets others have their turn in between.
    for (let removed = 0, from = 0, after = ''; ;) {
      const { rows } = await connection.use(async (session) => {
        const batch = await session.run<DueRow>(due, { from, after });
        const ids = batch.rows.map(({ id }) => id).filter((id) => this.isOurs(id));
        if (ids.length > 0) removed += await purge(session, statements, ids);
        return batch;
      });
      const last = rows.at(-1);
      if (last === undefined || rows.length < PURGE_BATCH) return removed;
      [from, after] = [Number(last.purge_at), last.id];
      await nextTurn();
    }
  }

  private get opened(): OpenDatabase {
    if (this.database === undefined) throw new Error('[ServerSession] the typeorm back end is used before onModuleInit');
    return this.database;
  }

  /** Another application's prefix may begin with ours, but what follows is no handle then. */
  private isOurs(id: string): boolean {
    return id.startsWith(this.prefix) && HANDLE.test(id.slice(this.prefix.length));
  }

  /** @returns false when the id is taken. */
  private async insert(session: SqlSession, row: StatementValues): Promise<boolean> {
    const { dialect, statements } = this.opened;
    try {
      return (await session.run(statements.insert, row)).affected > 0;
    } catch (error) {
      if (dialect.isDuplicate(error)) return false;
      throw error;
    }
  }

  private oursAfter(handle: string, principal: string | undefined): StatementValues {
    const owner = principal === undefined ? {} : { principal: onlyString(principal) };
    return { after: this.prefix + handle, end: this.prefix + AFTER_HANDLES, ...owner };
  }
}

/** Deletes what has expired. What still lives was used since the purge was to look at it, and comes up again when it expires. */
async function purge(session: SqlSession, statements: Statements, ids: readonly string[]): Promise<number> {
  const { affected } = await session.run(statements.removeDue(ids));
  if (affected < ids.length) await session.run(statements.postpone(ids));
  return affected;
}

function toStoredRecord({ version, payload, principal, remaining }: SessionRow): StoredRecord {
  if (!(payload instanceof Uint8Array)) throw new UnreadableRecordError('the column payload does not hold bytes');
  return { version: String(version), payload, principal: principal ?? undefined, remaining: Math.max(1, Number(remaining)) };
}

/** Whole milliseconds, at least one. */
function toTtl(milliseconds: number): number {
  return Math.max(1, Math.ceil(milliseconds));
}

function toColumns({ payload, principal }: SessionRecord): { payload: Uint8Array; principal: string | null } {
  return { payload, principal: principal === undefined ? null : toPrincipal(onlyString(principal)) };
}

/** A database may cut a longer one without a word, and then it would be somebody else's. */
function toPrincipal(principal: string): string {
  if (principal.length > LONGEST_PRINCIPAL)
    throw new Error(`[ServerSession] the principal has ${principal.length} characters; the sessions table takes ${LONGEST_PRINCIPAL}`);
  return principal;
}

/** A number in a comparison would be compared as one: for MySQL, every name is equal to 0. @throws TypeError for what is no string. */
function onlyString(value: unknown): string {
  if (typeof value === 'string') return value;
  throw new TypeError(`[ServerSession] SQL: a principal or a cursor is a string; given: ${kindOf(value)}`);
}
