import type { DataSource, ObjectLiteral, SelectQueryBuilder } from 'typeorm';
import type { SqlDataSource } from './data-source.types.js';
import type { Dialect } from './dialects/dialect.js';
import { Statement } from './statement.js';
import { quotePath, type TableName } from './table-name.js';

/** A row that the purge has to look at. */
export interface DueRow {
  readonly id: string;
  readonly purge_at: number | string;
}

/**
 * All statements of the repository, written by TypeORM's QueryBuilder. Names of columns in conditions stand unquoted: no database
 * reserves one of them.
 *
 * `expires_at` says when a record expires. It changes with every use, and no index holds it, so that PostgreSQL can write the new
 * state of a row beside the old one (HOT) and others save the change of an index. The purge finds rows through `purge_at`, which is
 * never later than `expires_at`: it stays as it is while a session is used, and the purge itself moves it on where it finds a
 * session that still lives.
 */
export class Statements {
  private readonly dataSource: DataSource;
  /** As the query builders take it, and as it stands in statements. */
  private readonly path: string;
  private readonly quoted: string;
  private readonly isAlive: string;
  private readonly isOurs: string;
  private readonly columns: readonly string[];
  private readonly expiry: string;

  readonly probe: Statement;
  readonly read: Statement;
  readonly insert: Statement;
  readonly removeExpired: Statement;
  readonly update: Statement;
  readonly readVersion: Statement;
  readonly remove: Statement;
  readonly removeVersion: Statement;
  readonly touch: Statement;
  readonly countAll: Statement;
  readonly countOfPrincipal: Statement;

  /** @param prefix what the ids of this application's rows begin with. */
  constructor(
    dataSource: SqlDataSource,
    private readonly dialect: Dialect,
    table: TableName,
    prefix: string,
  ) {
    const { now, least, isPrincipal, hasReturning } = dialect;
    this.dataSource = dataSource as unknown as DataSource;
    this.path = table.schema === undefined ? table.name : `${table.schema}.${table.name}`;
    this.isAlive = `expires_at > ${now}`;
    this.quoted = quotePath((name) => this.dataSource.driver.escape(name), table);
    // The id is a string of characters for the database, and of UTF-16 units here.
    this.isOurs = dialect.isHandleFrom([...prefix].length + 1);
    this.columns = ['id', 'version', 'payload', 'principal', `expires_at - (${now}) AS remaining`];
    this.expiry = `${now} + :ttl`;
    const purgeAt = `${least}(purge_at, ${this.expiry})`;

    this.probe = Statement.from(this.select(['purge_at']).where('1 = 0'));
    this.read = Statement.from(this.select(this.columns).where(`id = :id AND ${this.isAlive}`));
    this.insert = this.writeInsert();
    this.removeExpired = this.writeDelete(`id = :id AND expires_at <= ${now}`);
    this.update = this.writeUpdate(
      {
        version: ':version',
        payload: ':payload',
        expires_at: this.expiry,
        principal: ':principal',
        purge_at: purgeAt,
      },
      `id = :id AND version = :base AND ${this.isAlive}`,
    );
    this.readVersion = Statement.from(this.select(['version']).where(`id = :id AND ${this.isAlive}`));
    this.remove = this.writeDelete(`id = :id AND ${this.isAlive}`);
    this.removeVersion = this.writeDelete(`id = :id AND version = :base AND ${this.isAlive}`);
    this.touch = this.writeUpdate(
      { expires_at: this.expiry, purge_at: purgeAt },
      `id = :id AND ${this.isAlive}`,
      hasReturning ? ` RETURNING ${this.columns.join(', ')}` : '',
    );
    this.countAll = Statement.from(this.selectOurs(['count(*) AS total']));
    this.countOfPrincipal = Statement.from(this.selectOurs(['count(*) AS total']).andWhere(isPrincipal));
  }

  /** A page in the order of ids. */
  list(limit: number, ofPrincipal: boolean): Statement {
    const page = this.selectOurs(this.columns).orderBy('id').limit(limit);
    return Statement.from(ofPrincipal ? page.andWhere(this.dialect.isPrincipal) : page);
  }

  /**
   * The rows that the purge has to look at, of all applications that share the table, behind the row `:from`, `:after`. The index alone
   * tells, and no condition leads the database to the primary key, and through all rows.
   */
  due(limit: number): Statement {
    return Statement.from(
      this.select(['id', 'purge_at'])
        .where(`purge_at >= :from AND purge_at <= ${this.dialect.startOfStatement}`)
        .andWhere('(purge_at > :from OR id > :after)')
        .orderBy('purge_at')
        .addOrderBy('id')
        .limit(limit),
    );
  }

  /** Deletes those of the rows that have expired. */
  removeDue(ids: readonly string[]): Statement {
    return this.writeDelete(`${this.dialect.isOneOfFree(this.quoted)} AND expires_at <= ${this.dialect.now}`, ids);
  }

  /** Lets the purge look at the others again when they expire, as things stand. */
  postpone(ids: readonly string[]): Statement {
    return this.writeUpdate({ purge_at: 'expires_at' }, `${this.dialect.isOneOfFree(this.quoted)} AND ${this.isAlive}`, '', ids);
  }

  private select(columns: readonly string[]): SelectQueryBuilder<ObjectLiteral> {
    return this.dataSource
      .createQueryBuilder()
      .select([...columns])
      .from(this.path, 'stored');
  }

  /** A range for the primary key, and then the form of a handle: another application's prefix may begin with ours. */
  private selectOurs(columns: readonly string[]): SelectQueryBuilder<ObjectLiteral> {
    return this.select(columns).where(`id > :after AND id < :end AND ${this.isOurs} AND ${this.isAlive}`);
  }

  private writeInsert(): Statement {
    const row = {
      id: ':id',
      version: '1',
      payload: ':payload',
      expires_at: this.expiry,
      principal: ':principal',
      purge_at: this.expiry,
    };
    const insert = this.dataSource.createQueryBuilder().insert().into(this.path).values(asExpressions(row)).updateEntity(false);
    // There, a row that exists is no error that the server writes to its log. In MySQL, IGNORE would hide other errors, too.
    return Statement.from(this.dialect.hasReturning ? insert.orIgnore() : insert);
  }

  private writeUpdate(set: Readonly<Record<string, string>>, condition: string, suffix = '', ids?: readonly string[]): Statement {
    const update = this.dataSource.createQueryBuilder().update(this.path).set(asExpressions(set)).where(condition, { ids });
    return Statement.from(update, suffix);
  }

  private writeDelete(condition: string, ids?: readonly string[]): Statement {
    return Statement.from(this.dataSource.createQueryBuilder().delete().from(this.path).where(condition, { ids }));
  }
}

/** Values as TypeORM takes expressions in their place. */
function asExpressions(row: Readonly<Record<string, string>>): Record<string, () => string> {
  return Object.fromEntries(Object.entries(row).map(([column, expression]) => [column, () => expression]));
}
