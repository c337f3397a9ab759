import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { DataSource } from 'typeorm';
import { dialectOf } from '../../lib/repositories/typeorm/dialects/dialects.js';
import type { Statement, StatementValues } from '../../lib/repositories/typeorm/statement.js';
import { Statements } from '../../lib/repositories/typeorm/statements.js';
import type { TypeormSessionRepository } from '../../lib/repositories/typeorm/typeorm-session.repository.js';
import { eventually } from '../support/eventually.js';
import { allDatabases, fillTable, openRepository, postgres, type Database } from './typeorm-bench.js';

const STARTUP = 120_000;
const LONG = 600_000;
const ROWS = 20_000;
const PREFIX = 'session:';
const record = (text: string) => ({ payload: Buffer.from(text) });

/** Without the places where databases put spaces and quotes as they like. */
const plain = (plan: unknown): string => JSON.stringify(plan).replaceAll(/[\\"`]/g, '');

/** How a database runs a statement, as it says itself. */
async function planOf(database: Database, source: DataSource, statement: Statement, values: StatementValues = {}): Promise<string> {
  const explain = database.type === 'better-sqlite3' ? 'EXPLAIN QUERY PLAN' : 'EXPLAIN';
  return plain(await source.query(`${explain} ${statement.text}`, statement.bind(values)));
}

for (const database of allDatabases()) {
  describe(`the purge in ${database.name}`, () => {
    const opened: TypeormSessionRepository[] = [];
    let source: DataSource;
    let table: string;

    async function open(): Promise<TypeormSessionRepository> {
      const repository = await openRepository({ dataSource: source, table }, { storeTimeout: '20s' });
      opened.push(repository);
      return repository;
    }
    const quoted = (): string => source.driver.escape(table);
    async function total(): Promise<number> {
      const [{ rows }] = await source.query(`SELECT count(*) AS ${source.driver.escape('rows')} FROM ${quoted()}`);
      return Number(rows);
    }
    async function purgeAt(handle: string): Promise<number> {
      const [{ purge_at }] = await source.query(`SELECT purge_at FROM ${quoted()} WHERE id = '${PREFIX}${handle}'`);
      return Number(purge_at);
    }

    beforeAll(async () => {
      await database.start();
      source = await database.connect();
    }, STARTUP);
    afterAll(async () => {
      if (source?.isInitialized) await source.destroy();
      await database.stop();
    }, STARTUP);
    beforeEach(() => {
      table = `p${randomUUID().slice(0, 8)}`;
    });
    afterEach(async () => {
      for (const repository of opened.splice(0)) await repository.onApplicationShutdown();
    });

    it(
      'goes by the index on purge_at while half of the table has expired, and deletes by the primary key',
      async () => {
        await open();
        // PostgreSQL takes a table that is smaller for one to read as a whole.
        await fillTable(database, source, table, database.type === 'postgres' ? 10 * ROWS : ROWS);
        const statements = new Statements(source, dialectOf(database.type)!, { name: table }, PREFIX);
        const due = await planOf(database, source, statements.due(500), { from: 0, after: '' });
        expect(due).toContain(`${table}_purge_at_idx`);
        expect(due).not.toMatch(/filesort|Sort|TEMP B-TREE|Seq Scan/);

        const ids = Array.from({ length: 500 }, (_unused, index) => `${PREFIX}h${index * 2}`);
        for (const statement of [statements.removeDue(ids), statements.postpone(ids)]) {
          const plan = await planOf(database, source, statement);
          expect(plan).toMatch(/PRIMARY|_pkey|autoindex/);
          expect(plan).not.toMatch(new RegExp(`type:ALL|Seq Scan on ${table}|SCAN ${table}`));
        }
      },
      STARTUP,
    );

    it('finds a principal by its index, and a session by its id', async () => {
      await open();
      await fillTable(database, source, table, ROWS);
      const statements = new Statements(source, dialectOf(database.type)!, { name: table }, PREFIX);
      const ofPrincipal = { principal: 'user7', after: PREFIX, end: `${PREFIX}{` };
      for (const statement of [statements.list(50, true), statements.countOfPrincipal]) {
        expect(await planOf(database, source, statement, ofPrincipal)).toContain(`${table}_principal_idx`);
      }
      expect(await planOf(database, source, statements.read, { id: `${PREFIX}h1` })).toMatch(/PRIMARY|_pkey|autoindex/);
    });

    it('is not fed by a touch or a longer life, only by a shorter one', async () => {
      const repository = await open();
      await repository.create('a', record('1'), LONG);
      const first = await purgeAt('a');
      await repository.read('a', 2 * LONG);
      await repository.update('a', record('2'), '1', 3 * LONG);
      expect(await purgeAt('a')).toBe(first);
      await repository.read('a', LONG / 2);
      const second = await purgeAt('a');
      expect(second).toBeLessThan(first);
      await repository.update('a', record('3'), '2', LONG / 4);
      expect(await purgeAt('a')).toBeLessThan(second);
    });

    it('leaves a session alone that lives longer than purge_at says, and comes back to it when it expires', async () => {
      const repository = await open();
      await repository.create('a', record('1'), 1);
      await repository.create('b', record('1'), 1);
      await source.query(`UPDATE ${quoted()} SET expires_at = expires_at + ${LONG} WHERE id = '${PREFIX}a'`);
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(await repository.purgeExpired()).toBe(1);
      expect(await repository.read('a')).toBeDefined();
      expect(await purgeAt('a')).toBeGreaterThan(Date.now());
      await repository.read('a', 1);
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(await repository.purgeExpired()).toBe(1);
      expect(await total()).toBe(0);
    });

    it(
      'is done by two at once, beside traffic, without a deadlock, and each row is counted once',
      async () => {
        const [first, second, traffic] = [await open(), await open(), await open()];
        await fillTable(database, source, table, ROWS);
        const before = await deadlocks(database, source);
        let isOver = false;
        const requests = Array.from({ length: 4 }, async (_unused, client) => {
          for (let n = 0; !isOver; n++) {
            const handle = `t${client}-${n}`;
            expect(await traffic.create(handle, record('1'), LONG)).toBe('1');
            expect(await traffic.read(handle, LONG)).toBeDefined();
            expect((await traffic.update(handle, record('2'), '1', LONG)).status).toBe('updated');
            expect(await traffic.delete(handle)).toBe(true);
            // SQLite answers within the turn of the event loop, and would let no other have one.
            await nextTurn();
          }
        });
        const removed = await Promise.all([first.purgeExpired(), second.purgeExpired()]).finally(() => {
          isOver = true;
        });
        await Promise.all(requests);
        await first.purgeExpired();
        expect(removed[0] + removed[1]).toBe(ROWS / 2);
        expect(await total()).toBe(ROWS / 2);
        expect(await deadlocks(database, source)).toBe(before);
      },
      STARTUP,
    );
  });
}

/** How many deadlocks the server has ended so far. */
async function deadlocks(database: Database, source: DataSource): Promise<number> {
  if (database.type === 'better-sqlite3') return 0;
  const [row] =
    database.type === 'postgres'
      ? await source.query('SELECT deadlocks AS "Value" FROM pg_stat_database WHERE datname = current_database()')
      : await source.query("SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'");
  return Number(row.Value);
}

describe('a touch in PostgreSQL', () => {
  const database = postgres();
  let source: DataSource;
  beforeAll(async () => {
    await database.start();
    source = await database.connect();
  }, STARTUP);
  afterAll(async () => {
    if (source?.isInitialized) await source.destroy();
    await database.stop();
  }, STARTUP);

  it(
    'is a HOT update, as are most changes, and not so with an index on expires_at',
    async () => {
      const hot: Record<string, number> = {};
      for (const [table, index] of [
        ['light', ''],
        ['heavy', 'CREATE INDEX ON heavy (expires_at)'],
      ] as const) {
        const repository = await openRepository({ dataSource: source, table }, { storeTimeout: '20s' });
        if (index !== '') await source.query(index);
        const handles = Array.from({ length: 200 }, (_unused, n) => `h${n}`);
        await Promise.all(handles.map((handle) => repository.create(handle, record('x'.repeat(200)), LONG)));
        for (let round = 0; round < 10; round++) {
          await Promise.all(handles.map((handle) => repository.read(handle, LONG + round)));
          await Promise.all(handles.map((handle) => repository.update(handle, record('y'.repeat(200)), String(round + 1), LONG + round)));
        }
        hot[table] = await shareOfHotUpdates(source, table, 4000);
      }
      expect(hot['light']).toBeGreaterThan(0.8);
      expect(hot['heavy']).toBeLessThan(0.1);
    },
    STARTUP,
  );
});

/** Each connection reports its share of the statistics now and then: half of all is enough to tell. */
async function shareOfHotUpdates(source: DataSource, table: string, updates: number): Promise<number> {
  let share = 0;
  await eventually(async () => {
    const [row] = await source.query(`SELECT n_tup_upd AS all, n_tup_hot_upd AS hot FROM pg_stat_user_tables WHERE relname = '${table}'`);
    if (Number(row.all) < updates / 2) throw new Error(`${row.all} updates reported so far`);
    share = Number(row.hot) / Number(row.all);
  }, 30_000);
  return share;
}
