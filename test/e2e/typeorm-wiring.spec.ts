import 'reflect-metadata';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller, Get, Module, type DynamicModule, type INestApplication, Post } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { getDataSourceToken, TypeOrmModule } from '@nestjs/typeorm';
import request from 'supertest';
import { DataSource } from 'typeorm';
import {
  ServerSession,
  ServerSessionModule,
  Session,
  SessionRepository,
  sessionOptionsFromEnv,
  type ServerSessionOptions,
} from 'nestjs-server-session';
import { allDatabases } from '../repositories/typeorm-bench.js';

const STARTUP = 120_000;

@Controller()
class VisitsController {
  @Post() add(@Session() session: ServerSession): unknown {
    session.set('visits', Number(session.get('visits') ?? 0) + 1);
    return { visits: session.get('visits') };
  }
  @Get() show(@Session() session: ServerSession): unknown {
    return { visits: session.get('visits') ?? null };
  }
}

for (const database of allDatabases()) {
  describe(`type 'typeorm' in an application with ${database.name}`, () => {
    const apps: INestApplication[] = [];

    beforeAll(() => database.start(), STARTUP);
    afterAll(() => database.stop(), STARTUP);
    afterEach(async () => {
      for (const app of apps.splice(0)) await app.close();
    });

    const place = () => (database.type === 'better-sqlite3' ? { database: database.url.replace('sqlite:///', '') } : { url: database.url });
    const typeOrm = (name?: string, extra: object = {}): DynamicModule =>
      TypeOrmModule.forRoot({ type: database.type, ...place(), ...(name === undefined ? {} : { name }), ...extra } as Parameters<
        typeof TypeOrmModule.forRoot
      >[0]);
    const sessions = (options: ServerSessionOptions): DynamicModule => ServerSessionModule.forRoot(options);

    async function start(...imports: DynamicModule[]): Promise<INestApplication> {
      @Module({ imports, controllers: [VisitsController] })
      class AppModule {}

      const module = await Test.createTestingModule({ imports: [AppModule] }).compile();
      const app = module.createNestApplication({ logger: false });
      apps.push(app);
      return app.init();
    }

    async function visitTwice(app: INestApplication): Promise<void> {
      const agent = request.agent(app.getHttpServer());
      expect((await agent.post('/')).body).toEqual({ visits: 1 });
      expect((await agent.post('/')).body).toEqual({ visits: 2 });
      expect((await agent.get('/')).body).toEqual({ visits: 2 });
    }

    it.each(['first', 'last'])("takes the application's own DataSource, with TypeOrmModule imported %s", async (order) => {
      const imports = [typeOrm(undefined, { synchronize: true }), sessions({ type: 'typeorm' })];
      const app = await start(...(order === 'first' ? imports : imports.toReversed()));
      await visitTwice(app);
      const dataSource = app.get(DataSource);
      const [{ total }] = await dataSource.query('SELECT count(*) AS total FROM sessions');
      expect(Number(total)).toBeGreaterThan(0);
    });

    it('takes the DataSource of a name, and no other', async () => {
      const app = await start(
        sessions({ type: 'typeorm', typeorm: { dataSourceName: 'second', table: 'named' } }),
        typeOrm('first'),
        typeOrm('second'),
      );
      await visitTwice(app);
      const second = app.get<DataSource>(getDataSourceToken('second'));
      expect(await second.query('SELECT id FROM named')).toHaveLength(1);
    });

    it('says at boot that there is no DataSource of a name', async () => {
      const app = start(typeOrm('first'), sessions({ type: 'typeorm', typeorm: { dataSourceName: 'secnod' } }));
      await expect(app).rejects.toThrow(/'typeorm.dataSourceName' is 'secnod'; allowed: .*TypeOrmModule.forRoot\(\{ name: 'secnod'/);
    });

    it('does not close a DataSource that was given to it', async () => {
      const dataSource = await database.connect();
      const app = await start(sessions({ type: 'typeorm', typeorm: { dataSource } }));
      await visitTwice(app);
      await app.close();
      expect(dataSource.isInitialized).toBe(true);
      await dataSource.query('SELECT 1');
      await dataSource.destroy();
    });

    it('opens one of its own for a URL from the environment, and closes it', async () => {
      const options = sessionOptionsFromEnv({
        SESSION_TYPE: 'sqlalchemy',
        SESSION_SQLALCHEMY: database.url,
        SESSION_SQLALCHEMY_TABLE: 'flask',
      });
      const app = await start(sessions(options));
      await visitTwice(app);
      const repository = app.get(SessionRepository);
      expect(await repository.read('nobody')).toBeUndefined();
      await app.close();
      await expect(repository.read('nobody')).rejects.toThrow();
    });
  });
}

describe("type 'typeorm' without a database", () => {
  const boot = async (options: ServerSessionOptions): Promise<void> => {
    const module = await Test.createTestingModule({ imports: [ServerSessionModule.forRoot(options)] }).compile();
    await module.createNestApplication({ logger: false }).init();
  };

  it('says at boot what to configure', async () => {
    await expect(boot({ type: 'typeorm' })).rejects.toThrow(
      /'typeorm' names no database, and the application has no default DataSource.*'typeorm.url'.*'typeorm.dataSourceName'/,
    );
  });

  it.each([
    [{ url: 'oracle://127.0.0.1/x' }, "'typeorm.url' is 'oracle:"],
    [{ type: 'oracle' as 'mysql' }, "'typeorm.type' is 'oracle'; allowed: 'postgres', 'mysql', 'mariadb', 'better-sqlite3'"],
    [{ host: '127.0.0.1' }, "'typeorm.type' is undefined"],
    [{ dataSourceName: '' }, "'typeorm.dataSourceName' is ''"],
    [{ table: 'a; DROP TABLE b' }, "'typeorm.table' is 'a; DROP TABLE b'"],
    [{ table: 'a.b.c' }, "'typeorm.table' is 'a.b.c'"],
    [{ schema: 'a"b' }, "'typeorm.schema' is 'a\"b'"],
    [{ createTable: 'no' as unknown as boolean }, "'typeorm.createTable' is 'no'; allowed: true or false"],
    [{ dataSource: {} as DataSource }, "'typeorm.dataSource' is an object; allowed: a DataSource of TypeORM"],
    [{ dataSourceName: 'x', url: 'postgres://127.0.0.1/x' }, "nothing beside 'dataSourceName'"],
  ])('refuses %j', async (typeorm, message) => {
    await expect(boot({ type: 'typeorm', typeorm })).rejects.toThrow(message);
  });
});
