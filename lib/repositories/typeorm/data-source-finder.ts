import { SessionOptionsError } from '../../errors.js';
import { loadPackage } from '../../common/load-package.js';
import { findApplicationProvider, type ApplicationProvider } from '../application-provider.js';
import type { RepositoryContext } from '../repository.factory.js';
import { fromConnectionUrl } from './connection-url.js';
import { ApplicationDataSource, type DataSourceHolder } from './data-source-holder.js';
import type { SqlDataSource } from './data-source.types.js';
import { dialectOf, SQL_DATABASE_TYPES } from './dialects/dialects.js';
import { OwnDataSource } from './own-data-source.js';
import { ownDataSourceOptions, type TypeormSessionOptions } from './typeorm.options.js';

const PACKAGES = '@nestjs/typeorm typeorm';
const NO_DATABASE =
  "'typeorm' names no database, and the application has no default DataSource of TypeOrmModule; allowed: 'typeorm.url' or other " +
  "options of TypeORM, 'typeorm.dataSource', 'typeorm.dataSourceName', or TypeOrmModule.forRoot(…) in the application";
const TYPES = SQL_DATABASE_TYPES.map((type) => `'${type}'`).join(', ');

/**
 * Finds the DataSource that the options mean. To be called once the providers of the application are there: before, its
 * DataSources may not be.
 *
 * @throws SessionOptionsError when the application has none of that name, or one of another kind of database.
 */
export type FindDataSource = () => DataSourceHolder;

/** @throws MissingPackageError for a package that the options need; SessionOptionsError for options that name no database. */
export async function dataSourceFinder(context: RepositoryContext): Promise<FindDataSource> {
  const { typeorm = {}, storeTimeout } = context.options;
  const { dataSource, dataSourceName } = typeorm;
  if (dataSource !== undefined) {
    const given = ofApplication(dataSource, 'dataSource');
    return () => given;
  }
  const options = ownDataSourceOptions(typeorm);
  if (dataSourceName === undefined && Object.keys(options).length > 0) {
    const own = await createOwn(typeorm, options, storeTimeout);
    return () => own;
  }
  const { getDataSourceToken } = await loadPackage(() => import('@nestjs/typeorm'), "type 'typeorm'", PACKAGES);
  const provider: ApplicationProvider = {
    kind: 'DataSource',
    option: 'typeorm.dataSourceName',
    token: getDataSourceToken,
    example: (name) => `TypeOrmModule.forRoot({ name: '${name}', … })`,
  };
  return () => {
    const found = findApplicationProvider<SqlDataSource>(context.moduleRef, provider, dataSourceName);
    if (found === undefined) throw new SessionOptionsError([NO_DATABASE]);
    return ofApplication(found, dataSourceName === undefined ? 'dataSource' : 'dataSourceName');
  };
}

function ofApplication(dataSource: SqlDataSource, option: string): DataSourceHolder {
  const { type } = dataSource.options;
  const dialect = dialectOf(type);
  if (dialect === undefined)
    throw new SessionOptionsError([`'typeorm.${option}' is a DataSource of type '${type}'; allowed: one of ${TYPES}`]);
  return new ApplicationDataSource(dataSource, dialect);
}

function createOwn(
  { type, url }: TypeormSessionOptions,
  options: Readonly<Record<string, unknown>>,
  timeout: number,
): Promise<DataSourceHolder> {
  const { url: _url, ...rest } = options;
  const fromUrl = url === undefined ? undefined : fromConnectionUrl(url);
  const kind = type ?? fromUrl?.type;
  const dialect = kind === undefined ? undefined : dialectOf(kind);
  if (kind === undefined || dialect === undefined)
    throw new SessionOptionsError([`'typeorm.type' is ${String(type)}; allowed: one of ${TYPES}, or none where 'typeorm.url' says it`]);
  return OwnDataSource.create(kind, { ...rest, ...fromUrl }, dialect, timeout);
}
