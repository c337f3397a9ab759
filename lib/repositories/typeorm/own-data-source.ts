import type { DataSource, DataSourceOptions } from 'typeorm';
import { MissingPackageError } from '../../errors.js';
import { loadPackage } from '../../common/load-package.js';
import type { DataSourceHolder } from './data-source-holder.js';
import type { SqlDataSource } from './data-source.types.js';
import type { Dialect } from './dialects/dialect.js';

/** Which error of TypeORM says that a driver is not installed. */
const NO_DRIVER = 'DriverPackageNotInstalledError';

/** A DataSource that is opened when it is first needed, again as long as that has not worked, and closed at the end. */
export class OwnDataSource implements DataSourceHolder {
  private current: DataSource;
  private connecting: Promise<void> | undefined;
  private isClosed = false;

  private constructor(
    private readonly make: () => DataSource,
    readonly dialect: Dialect,
  ) {
    this.current = make();
  }

  /** @throws MissingPackageError when TypeORM or the driver is not installed. */
  static async create(type: string, options: Readonly<Record<string, unknown>>, dialect: Dialect, timeout: number): Promise<OwnDataSource> {
    const feature = `type 'typeorm' with ${dialect.name}`;
    const { DataSource } = await loadPackage(() => import('typeorm'), feature, `typeorm ${dialect.driver}`);
    const all = { ...dialect.ownOptions(timeout), ...options, type } as unknown as DataSourceOptions;
    try {
      return new OwnDataSource(() => new DataSource(all), dialect);
    } catch (error) {
      if (error instanceof Error && error.name === NO_DRIVER) throw new MissingPackageError(feature, dialect.driver, error);
      throw error;
    }
  }

  get dataSource(): SqlDataSource {
    return this.current;
  }

  /** One try at a time, also where the one before has taken longer than anybody waited. */
  connect(): Promise<void> {
    this.connecting ??= this.open().finally(() => {
      this.connecting = undefined;
    });
    return this.connecting;
  }

  async close(): Promise<void> {
    this.isClosed = true;
    await this.connecting?.catch(() => undefined);
    if (this.current.isInitialized) await this.current.destroy();
  }

  private async open(): Promise<void> {
    if (this.isClosed) throw new Error('the DataSource was closed');
    if (this.current.isInitialized) return;
    try {
      await this.current.initialize();
    } catch (error) {
      // A half-open one keeps its pool and does not give it back.
      const failed = this.current;
      this.current = this.make();
      if (!failed.isInitialized) await Promise.resolve(failed.driver.disconnect()).catch(() => undefined);
      throw error;
    }
  }
}
