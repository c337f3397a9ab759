import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import { DataSource, EntitySchema } from 'typeorm';
import type { TypeormSessionOptions } from '../../lib/repositories/typeorm/typeorm.options.js';
import type { TypeormSessionRepository } from '../../lib/repositories/typeorm/typeorm-session.repository.js';
import { TypescriptChild } from '../support/typescript-child.js';
import { mariadb, openRepository, postgres, sqlite, StatementLog, type MakeOptions } from './typeorm-bench.js';

const STARTUP = 120_000;
const LONG = 600_000;
const CHILD = '../repositories/typeorm-child.ts';

const record = (text: string, principal?: string) => ({ payload: Buffer.from(text), principal });
const Note = new EntitySchema<{ id: number }>({ name: 'note', columns: { id: { type: Number, primary: true } } });

/** Server, connection and process are each in another time zone, and none is in UTC. */
const PLACES = [
  { database: postgres({ timeZone: 'Pacific/Auckland' }), inZone: {}, setZone: `SET TIME ZONE 'America/St_Johns'`, touch: 1 },
  { database: mariadb({ timeZone: '+13:00' }), inZone: { timezone: '-03:30' }, setZone: `SET time_zone = '-03:30'`, touch: 2 },
  { database: sqlite(), inZone: {}, setZone: undefined, touch: 1 },
];

for (const { database, inZone, setZone, touch } of PLACES) {
  describe(`sessions in ${database.name}`, () => {
    const opened: TypeormSessionRepository[] = [];
    const open = async (typeorm: TypeormSessionOptions, options?: MakeOptions): Promise<TypeormSessionRepository> => {
      const repository = await openRepository(typeorm, options);
      opened.push(repository);
      return repository;
    };
    let app: DataSource;
    let log: StatementLog;
    let table: string;

    beforeAll(() => database.start(), STARTUP);
    afterAll(() => database.stop(), STARTUP);
    beforeEach(async () => {
      table = `t${randomUUID().slice(0, 8)}`;
      log = new StatementLog();
      app = await database.connect({ logger: log, entities: [Note] });
    });
    afterEach(async () => {
      for (const repository of opened.splice(0)) await repository.onApplicationShutdown();
      if (app.isInitialized) await app.destroy();
    });

    const rows = (name = table): Promise<{ id: string; expires_at: string | number }[]> =>
      app.query(`SELECT id, expires_at FROM ${app.driver.escape(name)} ORDER BY id`);

    it(`takes one statement to read, create, update, delete and list, and ${touch} to touch`, async () => {
      const repository = await open({ dataSource: app, table });
      log.take();
      const count = async (operation: Promise<unknown>): Promise<number> => {
        await operation;
        return log.take().length;
      };
      expect(await count(repository.create('a', record('1', 'ann'), LONG))).toBe(1);
      expect(await count(repository.read('a'))).toBe(1);
      expect(await count(repository.update('a', record('2', 'ann'), '1', LONG))).toBe(1);
      expect(await count(repository.read('a', LONG))).toBe(touch);
      expect(await count(repository.list({ principal: 'ann', limit: 10 }))).toBe(1);
      expect(await count(repository.count({}))).toBe(1);
      expect(await count(repository.delete('a'))).toBe(1);
    });

    it('takes a second statement for an update that fails, to tell why', async () => {
      const repository = await open({ dataSource: app, table });
      await repository.create('a', record('1'), LONG);
      log.take();
      expect(await repository.update('a', record('2'), '7', LONG)).toEqual({ status: 'conflict' });
      expect(log.take()).toHaveLength(2);
    });

    it('keeps instants in UTC, whatever the time zones of server, connection and process', async () => {
      // One connection, so that it is the one whose zone is set.
      const zoned = await database.connect({ ...inZone, poolSize: 1 });
      try {
        if (setZone !== undefined) await zoned.query(setZone);
        const repository = await open({ dataSource: zoned, table });
        await repository.create('here', record('1'), LONG);
        const child = new TypescriptChild(
          CHILD,
          { url: database.url, handle: `child-${table}`, ttl: LONG },
          {
            env: { ...process.env, TZ: 'Asia/Kathmandu' },
          },
        );
        await child.until(1);
        await child.ended();
        const [seen] = child.messages as { remaining: number; offset: number }[];
        expect(seen?.offset).toBe(-345);
        expect(Math.abs((seen?.remaining ?? 0) - LONG)).toBeLessThan(60_000);
        expect(Math.abs(Number((await rows())[0]?.expires_at) - Date.now() - LONG)).toBeLessThan(60_000);
        expect((await repository.read('here'))?.remaining).toBeLessThanOrEqual(LONG);
        const inSessions = await open({ dataSource: zoned });
        expect((await inSessions.read(`child-${table}`))?.remaining).toBeLessThanOrEqual(LONG);
      } finally {
        await zoned.destroy();
      }
    }, 60_000);

    it('creates table and indexes once, however many begin at the same time', async () => {
      const repositories = await Promise.all(Array.from({ length: 10 }, () => open({ url: database.url, table }, { storeTimeout: '15s' })));
      await Promise.all(repositories.map((repository, index) => repository.create(`h${index}`, record('1'), LONG)));
      expect(await rows()).toHaveLength(10);
      const runner = app.createQueryRunner();
      const found = await runner.getTable(table);
      await runner.release();
      expect(found?.indices.map(({ name }) => name).sort()).toEqual([`${table}_principal_idx`, `${table}_purge_at_idx`]);
    });

    it('changes nothing where createTable is false, and says what is missing; the table may come later', async () => {
      const repository = await open({ dataSource: app, table, createTable: false }, { storeTimeout: '15s' });
      await expect(repository.read('a')).rejects.toThrow(`there is no table '${table}', and 'typeorm.createTable' is false`);
      await expect(rows()).rejects.toThrow(table);
      await open({ dataSource: app, table });
      log.take();
      expect(await repository.create('a', record('1'), LONG)).toBe('1');
    });

    it('leaves a table that is there as it is, and sends no DDL for it', async () => {
      await open({ dataSource: app, table });
      log.take();
      await open({ dataSource: app, table });
      await open({ dataSource: app, table, createTable: false });
      expect(log.take().filter((statement) => !statement.startsWith('SELECT'))).toEqual([]);
    });

    it('takes names of tables that need quotes', async () => {
      for (const name of ['Order', 'select', `user-${table}`, `$${table}`.slice(1)]) {
        const repository = await open({ dataSource: app, table: name });
        expect(await repository.create('a', record('1', 'ann'), LONG)).toBe('1');
        expect(await repository.count({ principal: 'ann' })).toBe(1);
        expect(await repository.purgeExpired()).toBe(0);
        await app.query(`DROP TABLE ${app.driver.escape(name)}`);
      }
    });

    it("survives the application's own synchronize, rows and all", async () => {
      const repository = await open({ dataSource: app, table });
      await repository.create('a', record('1'), LONG);
      const log2 = new StatementLog();
      const synchronizing = await database.connect({ entities: [Note], synchronize: true, logger: log2 });
      await synchronizing.synchronize();
      await synchronizing.destroy();
      expect(log2.take().filter((statement) => statement.includes(table))).toEqual([]);
      expect(Buffer.from((await repository.read('a'))?.payload ?? []).toString()).toBe('1');
    });

    it('keeps applications apart that share a table, even where one prefix begins with the other', async () => {
      const ours = await open({ dataSource: app, table }, { keyPrefix: 'app:' });
      const theirs = await open({ dataSource: app, table }, { keyPrefix: 'app:admin:' });
      const wild = await open({ dataSource: app, table }, { keyPrefix: 'app%' });
      await ours.create('a', record('1', 'ann'), LONG);
      await theirs.create('b', record('1', 'ann'), LONG);
      await wild.create('c', record('1', 'ann'), LONG);
      for (const [repository, handle] of [
        [ours, 'a'],
        [theirs, 'b'],
        [wild, 'c'],
      ] as const) {
        expect((await repository.list({ limit: 10 })).records.map((found) => found.handle)).toEqual([handle]);
        expect(await repository.count({ principal: 'ann' })).toBe(1);
      }
    });

    it('purges what has expired in batches, of its own prefix only, and keeps the rest', async () => {
      const ours = await open({ dataSource: app, table }, { keyPrefix: 'a:' });
      const theirs = await open({ dataSource: app, table }, { keyPrefix: 'b:' });
      const dead = Array.from({ length: 1100 }, (_unused, index) => `('a:h${index}', 1, 'x', 1)`);
      await app.query(`INSERT INTO ${app.driver.escape(table)} (id, version, payload, expires_at) VALUES ${dead.join(', ')}`);
      await ours.create('alive', record('1'), LONG);
      await theirs.create('dead', record('1'), 1);
      await new Promise((resolve) => setTimeout(resolve, 20));
      log.take();
      expect(await ours.purgeExpired()).toBe(1100);
      expect(log.take().filter((statement) => statement.includes('DELETE'))).toHaveLength(3);
      expect((await rows()).map(({ id }) => id)).toEqual(['a:alive', 'b:dead']);
      expect(await theirs.purgeExpired()).toBe(1);
    });

    it('refuses a principal that the column does not take, and says so', async () => {
      const repository = await open({ dataSource: app, table });
      await expect(repository.create('a', record('1', 'x'.repeat(513)), LONG)).rejects.toThrow('the principal has 513 characters');
      expect(await repository.create('a', record('1', 'x'.repeat(512)), LONG)).toBe('1');
    });

    it('lets no principal and no cursor that is not a string reach a query', async () => {
      const repository = await open({ dataSource: app, table });
      await repository.create('a', record('1', 'ann'), LONG);
      log.take();
      for (const value of [0, 1, true, null, { $ne: null }, ['ann'], Symbol('ann')] as unknown as string[]) {
        await expect(repository.count({ principal: value })).rejects.toThrow(TypeError);
        await expect(repository.list({ principal: value, limit: 10 })).rejects.toThrow('a principal or a cursor is a string; given: ');
        await expect(repository.list({ cursor: value, limit: 10 })).rejects.toThrow(TypeError);
        if (value !== null) await expect(repository.create('b', record('1', value), LONG)).rejects.toThrow(TypeError);
      }
      expect(log.take()).toEqual([]);
    });

    it('tells principals apart by case, accents and spaces, and finds none by a part', async () => {
      const repository = await open({ dataSource: app, table });
      await repository.create('a', record('1', 'José'), LONG);
      for (const other of ['josé', 'Jose', 'José ', ' José', 'Jos%', 'José\0', 'Jose\u0301', '']) {
        expect(await repository.count({ principal: other }).catch(() => 0)).toBe(0);
      }
      expect(await repository.count({ principal: 'José' })).toBe(1);
    });

    it('shows its statements to the logger of the DataSource, and nothing of a session', async () => {
      const logged: unknown[] = [];
      const note = (...all: unknown[]): void =>
        void logged.push(...all.filter((one) => typeof one !== 'object' || !('broadcaster' in (one ?? {}))));
      const logger = { logQuery: note, logQueryError: note, logQuerySlow: note, logSchemaBuild: note, logMigration: note, log: note };
      const chatty = await database.connect({ logger, logging: 'all', maxQueryExecutionTime: 1 });
      try {
        const repository = await open({ dataSource: chatty, table });
        await repository.create('secret-handle', record('secret-data', 'secret-ann'), LONG);
        await repository.read('secret-handle', LONG);
        await repository.list({ principal: 'secret-ann', limit: 10 });
        await chatty.query(`DROP TABLE ${chatty.driver.escape(table)}`);
        await expect(repository.update('secret-handle', record('secret-data'), '1', LONG)).rejects.toThrow();
      } finally {
        await chatty.destroy();
      }
      expect(inspect(logged, { depth: 20 })).toMatch(/INSERT INTO/);
      expect(inspect(logged, { depth: 20 })).not.toMatch(/secret/);
    });

    it('says nothing of a session in its errors', async () => {
      const repository = await open({ dataSource: app, table });
      await app.query(`DROP TABLE ${app.driver.escape(table)}`);
      const error = await repository.create('secret-handle', record('secret-data', 'ann'), LONG).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(Error);
      expect(inspect(error, { depth: 20, showHidden: true })).not.toMatch(/secret/);
    });

    it('counts for ten times storeTimeout, and not longer', async () => {
      const repository = await open({ dataSource: app, table }, { storeTimeout: '300ms' });
      expect(await withSlowStatements(repository, 600, () => repository.count({}))).toBe(0);
      await expect(withSlowStatements(repository, 600, () => repository.read('a'))).rejects.toThrow('did not answer within 300 ms');
      await expect(withSlowStatements(repository, 4000, () => repository.count({}))).rejects.toThrow('did not answer within 3000 ms');
    }, 30_000);

    it('makes the table again when it was dropped', async () => {
      const repository = await open({ dataSource: app, table });
      await app.query(`DROP TABLE ${app.driver.escape(table)}`);
      await expect(repository.read('a')).rejects.toThrow();
      expect(await repository.create('a', record('1'), LONG)).toBe('1');
    });

    it('is not undone with a transaction that the application has open at the time', async () => {
      const repository = await open({ dataSource: app, table });
      const runner = app.createQueryRunner();
      await runner.startTransaction();
      const created = repository.create('a', record('1'), LONG);
      await new Promise((resolve) => setTimeout(resolve, 30));
      await runner.rollbackTransaction();
      await runner.release();
      expect(await created).toBe('1');
      expect(await repository.read('a')).toBeDefined();
    });
  });
}

describe('sessions in PostgreSQL alone', () => {
  const database = postgres();
  let app: DataSource;
  beforeAll(async () => {
    await database.start();
    app = await database.connect();
  }, STARTUP);
  afterAll(async () => {
    if (app?.isInitialized) await app.destroy();
    await database.stop();
  }, STARTUP);

  it('can be in a schema, named in the table or apart', async () => {
    await app.query('CREATE SCHEMA "Web"');
    const first = await openRepository({ dataSource: app, table: 'Web.logins' });
    const second = await openRepository({ dataSource: app, table: 'logins', schema: 'Web' });
    await first.create('a', record('1'), LONG);
    expect(await second.read('a')).toBeDefined();
    expect(await app.query('SELECT id FROM "Web".logins')).toEqual([{ id: 'session:a' }]);
  });

  it('needs no right to create where the table is there', async () => {
    await openRepository({ dataSource: app, table: 'granted' });
    await app.query('CREATE ROLE plain LOGIN');
    await app.query('GRANT SELECT, INSERT, UPDATE, DELETE ON granted TO plain');
    const url = database.url.replace('postgres@', 'plain@');
    const granted = await openRepository({ url, table: 'granted' });
    expect(await granted.create('a', record('1'), LONG)).toBe('1');
    const refused = await openRepository({ url, table: 'elsewhere' });
    await expect(refused.read('a')).rejects.toThrow('permission denied for schema public');
    await granted.onApplicationShutdown();
    await refused.onApplicationShutdown();
  });

  it.each(['repeatable read', 'serializable'])('loses no change under %s', async (isolation) => {
    const strict = await database.connect({ extra: { options: `-c default_transaction_isolation=${isolation.replace(' ', '\\ ')}` } });
    const repository = await openRepository({ dataSource: strict, table: `strict_${isolation.length}` });
    await repository.create('a', record('0'), LONG);
    const increment = async (): Promise<void> => {
      for (;;) {
        const found = await repository.read('a', LONG);
        if (found === undefined) throw new Error('the session is gone');
        const next = String(Number(Buffer.from(found.payload).toString()) + 1);
        const { status } = await repository.update('a', record(next), found.version, LONG);
        if (status === 'updated') return;
      }
    };
    await Promise.all(Array.from({ length: 20 }, increment));
    expect(Buffer.from((await repository.read('a'))?.payload ?? []).toString()).toBe('20');
    await strict.destroy();
  });
});

describe('sessions in a SQLite file alone', () => {
  const database = sqlite();
  beforeAll(() => database.start());
  afterAll(() => database.stop());

  it('are shared by processes that begin at the same time', async () => {
    const children = [1, 2, 3].map((n) => new TypescriptChild(CHILD, { url: database.url, handle: `child-${n}`, ttl: LONG }));
    await Promise.all(children.map((child) => child.until(1).then(() => child.ended())));
    const repository = await openRepository({ url: database.url });
    expect(await repository.count({})).toBe(3);
    await repository.onApplicationShutdown();
  }, 60_000);
});

/** Lets each statement of a repository take a while longer. */
async function withSlowStatements<T>(repository: TypeormSessionRepository, delay: number, work: () => Promise<T>): Promise<T> {
  const { dialect } = (repository as unknown as { database: { dialect: { execute: (...all: unknown[]) => Promise<unknown> } } }).database;
  const { execute } = dialect;
  dialect.execute = async (...all) => {
    await new Promise((resolve) => setTimeout(resolve, delay));
    return execute(...all);
  };
  try {
    return await work();
  } finally {
    dialect.execute = execute;
  }
}
