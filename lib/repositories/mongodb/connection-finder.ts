import { Logger } from '@nestjs/common';
import { MissingPackageError, SessionOptionsError } from '../../errors.js';
import { loadPackage } from '../../common/load-package.js';
import type { RepositoryContext } from '../repository.factory.js';
import { ApplicationConnection } from './application-connection.js';
import type { MongodbConnection } from './mongodb.connection.js';
import { MONGODB_DEFAULTS, MONGODB_PACKAGES, type MongooseConnection } from './mongodb.options.js';
import { OwnConnection } from './own-connection.js';

/**
 * Finds the connection that the options mean. To be called once the providers of the application are there: before, its
 * connections may not be.
 *
 * @throws SessionOptionsError when there is no connection of the given name.
 */
export type FindConnection = () => MongodbConnection;

/** @throws MissingPackageError for a package that the options need. */
export async function connectionFinder(context: RepositoryContext): Promise<FindConnection> {
  const { storeTimeout, mongodb = {} } = context.options;
  const { connection, connectionName, uri, db } = mongodb;
  const ofApplication = (found: MongooseConnection): MongodbConnection => new ApplicationConnection(found, db, storeTimeout);
  if (connection !== undefined) return () => ofApplication(connection);
  if (connectionName !== undefined) {
    const lookUp = await connectionLookup(context);
    return () => ofApplication(lookUp(connectionName) ?? noSuchConnection(connectionName));
  }
  const own = await OwnConnection.open(uri ?? MONGODB_DEFAULTS.uri, db, storeTimeout);
  if (uri !== undefined) return () => own;
  const lookUp = await connectionLookup(context).catch(onlyMissing);
  return () => {
    const found = lookUp?.(undefined);
    if (found !== undefined) return ofApplication(found);
    new Logger('ServerSession').log(
      `[ServerSession] MongoDB: the application has no default connection of MongooseModule; sessions go to ${MONGODB_DEFAULTS.uri}`,
    );
    return own;
  };
}

/** Looks up connections of MongooseModule, in whatever module they are. */
async function connectionLookup({ moduleRef }: RepositoryContext): Promise<(name: string | undefined) => MongooseConnection | undefined> {
  const { getConnectionToken } = await loadPackage(() => import('@nestjs/mongoose'), "type 'mongodb'", MONGODB_PACKAGES);
  return (name) => {
    try {
      return moduleRef.get<MongooseConnection>(getConnectionToken(name), { strict: false });
    } catch {
      // Nest has no way to ask whether there is a provider but this.
      return undefined;
    }
  };
}

function noSuchConnection(name: string): never {
  throw new SessionOptionsError([
    `'mongodb.connectionName' is '${name}'; allowed: the name of a connection of the application, as in ` +
      `MongooseModule.forRoot(uri, { connectionName: '${name}' })`,
  ]);
}

/** An application without @nestjs/mongoose has no connection to look for. */
function onlyMissing(error: unknown): undefined {
  if (error instanceof MissingPackageError) return undefined;
  throw error;
}
