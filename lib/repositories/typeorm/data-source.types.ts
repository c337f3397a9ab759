/*
 * The little that is used of TypeORM, spelled out: it holds for its versions 0.3 and 1, and an application without TypeORM can
 * still check the types of this package.
 */

/** A query runner of TypeORM: one connection of the pool for a while. */
export interface SqlRunner {
  readonly isTransactionActive: boolean;
  connect(): Promise<unknown>;
  release(): Promise<void>;
  query(statement: string, parameters: unknown[], useStructuredResult: true): Promise<{ records?: unknown[]; affected?: number }>;
  startTransaction(isolation: 'READ COMMITTED'): Promise<void>;
  commitTransaction(): Promise<void>;
  rollbackTransaction(): Promise<void>;
}

/** A DataSource of TypeORM. */
export interface SqlDataSource {
  readonly isInitialized: boolean;
  readonly options: { readonly type: string };
  readonly driver: object;
  createQueryRunner(mode: 'master'): SqlRunner;
}
