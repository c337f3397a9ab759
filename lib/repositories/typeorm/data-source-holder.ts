import type { SqlDataSource } from './data-source.types.js';
import type { Dialect } from './dialects/dialect.js';

/** A DataSource, ours or the application's. */
export interface DataSourceHolder {
  readonly dialect: Dialect;
  /** To be asked for anew each time: ours is replaced by another one when connecting fails. */
  readonly dataSource: SqlDataSource;
  /** @throws when it is not connected, and cannot be connected now. */
  connect(): Promise<void>;
  /** Closes what is ours. */
  close(): Promise<void>;
}

/** The application's own DataSource: opened and closed by the application. */
export class ApplicationDataSource implements DataSourceHolder {
  constructor(
    readonly dataSource: SqlDataSource,
    readonly dialect: Dialect,
  ) {}

  async connect(): Promise<void> {
    if (!this.dataSource.isInitialized) throw new Error('the DataSource of the application is not initialized: call its initialize()');
  }

  async close(): Promise<void> {}
}
