import type { DataSourceHolder } from './data-source-holder.js';
import type { Dialect } from './dialects/dialect.js';
import type { SqlSession } from './sql-session.js';
import { Statement } from './statement.js';
import { Statements } from './statements.js';
import { tableOf, type TableName } from './table-name.js';
import type { TypeormSessionOptions } from './typeorm.options.js';

/** The table of one application, and the statements on it. */
export class SessionsTable {
  readonly statements: Statements;
  private readonly dialect: Dialect;
  private readonly name: TableName;
  private readonly mayChange: boolean;

  /** @param prefix what the ids of this application's rows begin with. */
  constructor({ dataSource, dialect }: DataSourceHolder, { table, schema, createTable = true }: TypeormSessionOptions, prefix: string) {
    this.name = tableOf(dataSource, table, schema);
    this.dialect = dialect;
    this.mayChange = createTable;
    this.statements = new Statements(dataSource, dialect, this.name, prefix);
  }

  /**
   * Sees whether the table is there. One that is there is left as it is, and needs no more rights than reading.
   *
   * @returns what is to be done before the table can be used.
   * @throws when it is absent or outdated and must not be changed.
   */
  async check(session: SqlSession): Promise<((session: SqlSession) => Promise<void>) | undefined> {
    const { dialect, name } = this;
    try {
      // It reads the column that the present version has added.
      await session.run(this.statements.probe);
      return undefined;
    } catch (error) {
      const isMissing = dialect.isMissingTable(error);
      if (!isMissing && !dialect.isMissingColumn(error)) throw error;
      if (!this.mayChange) throw mustNotChange(name, isMissing, error);
      const statements = isMissing ? dialect.createStatements(name) : dialect.upgradeStatements(name);
      return (next) => this.change(next, statements);
    }
  }

  private async change(session: SqlSession, statements: readonly string[]): Promise<void> {
    const { lockedGroup, isAlreadyDone } = this.dialect;
    try {
      for (const text of lockedGroup?.begin(this.name) ?? []) await session.run(Statement.of(text));
      for (const text of statements) {
        await session.run(Statement.of(text)).catch((error: unknown) => {
          if (!isAlreadyDone(error)) throw error;
        });
      }
      if (lockedGroup !== undefined) await session.run(Statement.of(lockedGroup.end));
    } catch (error) {
      if (lockedGroup !== undefined) await session.run(Statement.of(lockedGroup.undo)).catch(() => undefined);
      throw error;
    }
  }
}

function mustNotChange({ name }: TableName, isMissing: boolean, cause: unknown): Error {
  const state = isMissing ? `there is no table '${name}'` : `the table '${name}' is of an earlier version`;
  const remedy = isMissing ? 'create it with a migration' : 'bring it up to date with a migration';
  return new Error(`${state}, and 'typeorm.createTable' is false: ${remedy}, or run nestjs-server-session migrate-table`, { cause });
}
