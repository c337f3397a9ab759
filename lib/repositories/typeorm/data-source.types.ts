/*
 * The little that is used of TypeORM, spelled out: it holds for its versions 0.3 and 1, and an application without TypeORM can
 * still check the types of this package.
 */

/** A query runner of TypeORM: one connection of the pool for a while. */
export interface SqlRunner {
  connect(): Promise<unknown>;
  release(): Promise<void>;
}

/** A DataSource of TypeORM. */
export interface SqlDataSource {
  readonly isInitialized: boolean;
  readonly options: { readonly type: string; readonly entityPrefix?: string | undefined; readonly schema?: string | undefined };
  readonly driver: object;
  readonly logger?: { logQuery(statement: string): unknown };
  createQueryRunner(mode: 'master'): SqlRunner;
}
