import 'reflect-metadata';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Injectable, Module, type INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { InjectRepository, TypeOrmModule } from '@nestjs/typeorm';
import { DataSource, type Repository } from 'typeorm';
import {
  ServerSessionModule,
  SessionEntity,
  SessionRepository,
  sessionEntity,
  upgradeSessionsTableStatements,
} from 'nestjs-server-session';
import type { TypeormSessionRepository } from '../../lib/repositories/typeorm/typeorm-session.repository.js';
import { allDatabases, FIRST_TABLES, openRepository } from './typeorm-bench.js';

const STARTUP = 120_000;
const LONG = 600_000;
const record = (text: string, principal?: string) => ({ payload: Buffer.from(text), principal });

for (const database of allDatabases()) {
  describe(`SessionEntity in ${database.name}`, () => {
    const sources: DataSource[] = [];
    const connect = async (options: Record<string, unknown>): Promise<DataSource> => {
      const source = await database.connect(options);
      sources.push(source);
      return source;
    };

    beforeAll(() => database.start(), STARTUP);
    afterAll(() => database.stop(), STARTUP);
    afterEach(async () => {
      for (const source of sources.splice(0)) if (source.isInitialized) await source.destroy();
    });

    /** What `migration:generate` would write into a migration. */
    const changes = async (source: DataSource): Promise<string[]> => {
      const { upQueries } = await source.driver.createSchemaBuilder().log();
      return upQueries.map(({ query }) => query);
    };
    const drop = async (source: DataSource, table: string): Promise<void> => {
      await source.query(`DROP TABLE IF EXISTS ${source.driver.escape(table)}`);
    };
    async function expectToKeepSessions(repository: TypeormSessionRepository): Promise<void> {
      const principal = 'x'.repeat(512);
      expect(await repository.create('A', record('1', principal), LONG)).toBe('1');
      expect(await repository.create('a', record('2'), 1)).toBe('1');
      expect(await repository.count({ principal })).toBe(1);
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(await repository.purgeExpired()).toBe(1);
    }

    it('finds nothing to change in the table that createTable has made', async () => {
      const source = await connect({ entities: [SessionEntity] });
      await openRepository({ dataSource: source });
      expect(await changes(source)).toEqual([]);
      await drop(source, 'sessions');
    });

    it('makes the table itself, good for sessions, with nothing left to change', async () => {
      const source = await connect({ entities: [SessionEntity] });
      expect(await changes(source)).not.toEqual([]);
      await source.synchronize();
      expect(await changes(source)).toEqual([]);
      await expectToKeepSessions(await openRepository({ dataSource: source, createTable: false }));
      await drop(source, 'sessions');
    });

    it('finds nothing to change in a table of version 0.1 that was brought up to date, rows and all', async () => {
      const source = await connect({ entities: [SessionEntity] });
      for (const statement of FIRST_TABLES[database.type]('sessions')) await source.query(statement);
      const bytes = database.type === 'better-sqlite3' ? "X'78'" : "'x'";
      await source.query(
        `INSERT INTO sessions VALUES ('session:old', 1, ${bytes}, 9999999999999, 'ann'), ('session:dead', 1, ${bytes}, 1, 'ann')`,
      );
      expect(await changes(source)).not.toEqual([]);
      const repository = await openRepository({ dataSource: source });
      expect(await changes(source)).toEqual([]);
      expect(await repository.read('old')).toMatchObject({ version: '1', principal: 'ann' });
      expect(await repository.purgeExpired()).toBe(1);
      expect((await repository.list({ principal: 'ann', limit: 10 })).records).toHaveLength(1);
      await expectToKeepSessions(repository);
      await drop(source, 'sessions');
    });

    it('finds nothing to change after a migration with the statements to upgrade', async () => {
      const source = await connect({ entities: [SessionEntity] });
      for (const statement of FIRST_TABLES[database.type]('sessions')) await source.query(statement);
      for (const statement of upgradeSessionsTableStatements(database.type)) await source.query(statement);
      expect(await changes(source)).toEqual([]);
      await drop(source, 'sessions');
    });

    it('follows the name of the table, and the entityPrefix of the DataSource', async () => {
      const source = await connect({ entities: [sessionEntity({ table: 'logins' })], entityPrefix: 'web_' });
      await source.synchronize();
      expect(await changes(source)).toEqual([]);
      await expectToKeepSessions(await openRepository({ dataSource: source, table: 'logins', createTable: false }));
      await drop(source, 'web_logins');
      await openRepository({ dataSource: source, table: 'logins' });
      expect(await changes(source)).toEqual([]);
      await drop(source, 'web_logins');
    });

    it('is loaded by autoLoadEntities, synchronized at boot, and can be injected', async () => {
      @Injectable()
      class Report {
        constructor(@InjectRepository(SessionEntity) readonly rows: Repository<{ id: string; principal: string | null }>) {}
      }
      const place = database.type === 'better-sqlite3' ? { database: database.url.replace('sqlite:///', '') } : { url: database.url };
      const forRoot = { type: database.type, ...place, autoLoadEntities: true, synchronize: true };
      @Module({
        imports: [
          TypeOrmModule.forRoot(forRoot as Parameters<typeof TypeOrmModule.forRoot>[0]),
          TypeOrmModule.forFeature([SessionEntity]),
          ServerSessionModule.forRoot({ type: 'typeorm', typeorm: { createTable: false } }),
        ],
        providers: [Report],
      })
      class AppModule {}
      let app: INestApplicationContext | undefined;
      try {
        app = await NestFactory.createApplicationContext(AppModule, { logger: false });
        await app.get(SessionRepository).create('a', record('1', 'ann'), LONG);
        expect(await app.get(Report).rows.find({ select: { id: true, principal: true } })).toEqual([{ id: 'session:a', principal: 'ann' }]);
        expect(await changes(app.get(DataSource))).toEqual([]);
        await drop(app.get(DataSource), 'sessions');
      } finally {
        await app?.close();
      }
    });

    if (database.type === 'better-sqlite3') return;

    it(`is where the option says, in another ${database.type === 'postgres' ? 'schema' : 'database'}`, async () => {
      const source = await connect({ entities: [sessionEntity({ table: 'elsewhere.logins' })] });
      await source.query(`CREATE SCHEMA elsewhere`);
      await source.synchronize();
      expect(await changes(source)).toEqual([]);
      await expectToKeepSessions(await openRepository({ dataSource: source, table: 'elsewhere.logins', createTable: false }));
      expect(await source.query('SELECT count(*) AS total FROM elsewhere.logins')).toMatchObject([{ total: expect.anything() }]);
      await source.query('DROP TABLE elsewhere.logins');
      await source.query('DROP SCHEMA elsewhere');
    });

    if (database.type !== 'postgres') return;

    it('is in the schema of the DataSource', async () => {
      const source = await connect({ entities: [SessionEntity], schema: 'apart' });
      await source.query('CREATE SCHEMA apart');
      await openRepository({ dataSource: source });
      expect(await changes(source)).toEqual([]);
      await source.query('DROP TABLE apart.sessions');
      await source.synchronize();
      await expectToKeepSessions(await openRepository({ dataSource: source, createTable: false }));
      await source.query('DROP TABLE apart.sessions');
      await source.query('DROP SCHEMA apart');
    });
  });
}
