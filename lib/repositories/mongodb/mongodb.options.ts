import type { OptionReader } from '../../common/option-reader.js';
import type { BackEnd } from '../repository.factory.js';

/** A mongoose `Connection`, as far as it is used: any version of mongoose will do. */
export interface MongooseConnection {
  readonly readyState: number;
  getClient(): object;
}

/** Options that hold wherever the collection is. */
export interface MongodbCollectionOptions {
  /**
   * The database. By default that of the connection or the URI, and `'server_session'` where the URI names none.
   */
  db?: string;
  /** @default 'sessions' */
  collection?: string;
  /**
   * Whether to create the indexes when the application starts. Without the index on the expiry the server never removes
   * expired sessions, without the one on the principal a listing reads the whole collection.
   * @default true
   */
  createIndexes?: boolean;
}

/**
 * Which MongoDB: a connection of yours, the name of one of `MongooseModule`, or a URI. With none of them it is the default
 * connection of `MongooseModule` if the application has one, else `mongodb://127.0.0.1:27017`.
 */
export type MongodbSessionOptions = MongodbCollectionOptions &
  (
    | {
        /** A mongoose connection. It stays yours: nothing here closes it. */
        connection: MongooseConnection;
        connectionName?: never;
        uri?: never;
      }
    | {
        /** The `connectionName` given to `MongooseModule.forRoot`. That connection is not closed by us either. */
        connectionName: string;
        connection?: never;
        uri?: never;
      }
    | {
        /** As in `mongodb://user:password@host:27017/database`, or `mongodb+srv:`. */
        uri?: string;
        connection?: never;
        connectionName?: never;
      }
  );

export const MONGODB_DEFAULTS = {
  uri: 'mongodb://127.0.0.1:27017',
  db: 'server_session',
  collection: 'sessions',
  createIndexes: true,
};

const WAYS = ['connection', 'connectionName', 'uri'] as const;
/** The characters that MongoDB allows in the name of a database on every platform. */
const DATABASE = /^[^/\\. "$*<>:|?\0]{1,63}$/;
const COLLECTION = /^(?!system\.)[^$\0]{1,200}$/;

export const backEnd: BackEnd<MongodbSessionOptions> = {
  check: checkMongodbOptions,
  create: async (context) => (await import('./mongodb-session.repository.js')).MongodbSessionRepository.create(context),
};

function checkMongodbOptions(read: OptionReader): void {
  read.check('connection', undefined, 'a mongoose Connection', isConnection);
  read.check('connectionName', undefined, 'the connectionName of a MongooseModule.forRoot', (value) => matches(value, /./));
  read.check('uri', undefined, 'a URI as in mongodb://127.0.0.1:27017', (value) => matches(value, /^mongodb(\+srv)?:\/\/[^/]/));
  read.check('db', undefined, 'the name of a database', (value) => matches(value, DATABASE));
  read.check('collection', undefined, 'the name of a collection', (value) => matches(value, COLLECTION));
  read.boolean('createIndexes', MONGODB_DEFAULTS.createIndexes);
  const [chosen, ...others] = WAYS.filter((name) => read.raw(name) !== undefined);
  for (const name of others) read.fault(name, read.raw(name), `none, because '${chosen}' is given: one of ${WAYS.join(', ')}`);
  read.rejectUnknown();
}

function matches(value: unknown, form: RegExp): boolean {
  return typeof value === 'string' && form.test(value);
}

function isConnection(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'readyState' in value && 'getClient' in value;
}
