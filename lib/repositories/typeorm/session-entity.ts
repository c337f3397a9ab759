import type { ColumnType } from './dialects/dialect.js';
import { dialectOf } from './dialects/dialects.js';
import { DEFAULT_TABLE, toTableName } from './table-name.js';

/** A column of an entity, as TypeORM's EntitySchema describes it. */
interface EntityColumn extends ColumnType {
  readonly primary?: boolean;
  readonly nullable?: boolean;
  readonly default?: number;
}

/** What is used of TypeORM's metadata of an index, of its entity, and of the entity's columns. */
interface IndexMetadata {
  givenName?: string;
  readonly entityMetadata: {
    readonly tableName: string;
    readonly schema?: string;
    /** In TypeORM 1; `connection` in 0.3. */
    readonly dataSource?: { readonly options: { readonly type: string } };
    readonly connection: { readonly options: { readonly type: string } };
    readonly columns: { readonly propertyName: string }[];
    readonly propertiesMap: Readonly<Record<string, unknown>>;
  };
}

type SessionColumn = 'id' | 'version' | 'payload' | 'expires_at' | 'principal' | 'purge_at';

/** What each column holds. */
const CONTENTS: Readonly<Record<SessionColumn, 'key' | 'number' | 'bytes' | 'principal'>> = {
  id: 'key',
  version: 'number',
  payload: 'bytes',
  expires_at: 'number',
  principal: 'principal',
  purge_at: 'number',
};

/**
 * The sessions table as an entity of TypeORM, for `entities`, `TypeOrmModule.forFeature` and migrations. It has the form of
 * TypeORM's own `EntitySchema`, which this package cannot create: TypeORM may not be installed.
 */
export class SessionEntitySchema {
  readonly '@instanceof': symbol = Symbol.for('EntitySchema');
  readonly options: {
    readonly name: string;
    readonly tableName: string;
    readonly schema?: string;
    readonly columns: Record<SessionColumn, EntityColumn>;
    readonly indices: { readonly name: string; readonly columns: () => unknown[] }[];
  };

  constructor(
    /** The name of the entity. @nestjs/typeorm makes the token of its repository from it. */
    readonly name: string,
    table: string,
    schema?: string,
  ) {
    const { name: tableName, schema: inSchema } = toTableName(table, schema);
    this.options = {
      name,
      tableName,
      ...(inSchema === undefined ? {} : { schema: inSchema }),
      columns: {
        id: { type: 'varchar', primary: true },
        version: { type: 'bigint' },
        // Replaced below by what the database has for it.
        payload: { type: 'varchar' },
        expires_at: { type: 'bigint' },
        principal: { type: 'varchar', nullable: true },
        purge_at: { type: 'bigint', default: 0 },
      },
      indices: [indexOf(tableName, 'principal', ['principal', 'id']), indexOf(tableName, 'purge_at', ['purge_at', 'id'])],
    };
  }
}

/**
 * An entity does not know which database it is for, and no type for bytes exists in all of them. But TypeORM asks an index for its
 * columns while it builds the metadata of a DataSource, before it looks at the types. So this is where the columns get their types, and
 * the index its name, to which the entityPrefix of the DataSource belongs.
 */
function indexOf(table: string, suffix: string, columns: SessionColumn[]): { name: string; columns: () => unknown[] } {
  function columnsOf(this: IndexMetadata): unknown[] {
    const { entityMetadata } = this;
    const { tableName, schema, columns: all, propertiesMap } = entityMetadata;
    const dialect = dialectOf((entityMetadata.dataSource ?? entityMetadata.connection).options.type);
    if (dialect?.hasSchemas === false && schema !== undefined)
      Object.assign(entityMetadata, { database: schema, tablePath: `${schema}.${tableName}` });
    for (const column of all) {
      const content = CONTENTS[column.propertyName as SessionColumn];
      if (dialect !== undefined) Object.assign(column, { length: '', ...dialect.columns[content] });
    }
    this.givenName = `${tableName}_${suffix}_idx`;
    return columns.map((name) => propertiesMap[name]);
  }
  return { name: `${table}_${suffix}_idx`, columns: columnsOf as () => unknown[] };
}

/** Which table an entity is for. */
export interface SessionEntityOptions {
  /** As in the option `typeorm.table`. @default 'sessions' */
  readonly table?: string;
  /** As in the option `typeorm.schema`. @default the one of the DataSource */
  readonly schema?: string;
}

/**
 * The entity of a sessions table with another name: `entities: [sessionEntity({ table: 'logins' })]`.
 *
 * @throws TypeError for a name that no table can have here.
 */
export function sessionEntity({ table = DEFAULT_TABLE, schema }: SessionEntityOptions = {}): SessionEntitySchema {
  return new SessionEntitySchema(
    table === DEFAULT_TABLE && schema === undefined ? 'ServerSession' : `ServerSession of ${table}`,
    table,
    schema,
  );
}

/**
 * The table `sessions` as an entity: with it in `entities` of a DataSource, `synchronize` and generated migrations create the table
 * that `createTable: true` creates.
 */
export const SessionEntity: SessionEntitySchema = sessionEntity();
