import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { join } from 'node:path';
import { createSessionsTableStatements } from 'nestjs-server-session';
import { DataSource } from 'typeorm';
import { startAdmin } from '../admin/support/application.js';
import { CommandLine, jsonLines } from './support/command-line.js';

const LIMIT = 120_000;

let cli: CommandLine;
beforeAll(async () => {
  cli = await CommandLine.build();
}, LIMIT);
afterAll(() => cli.remove());

describe('migrate-table', () => {
  it(
    'creates the table once, for an application that must not',
    async () => {
      const url = `sqlite:///${join(cli.folder, 'created.db')}`;
      const env = { SESSION_TYPE: 'sqlalchemy', SESSION_SQLALCHEMY: url, SESSION_SQLALCHEMY_TABLE: 'web_sessions' };
      const first = await cli.run(['migrate-table'], env);
      expect([first.code, first.stdout]).toEqual([0, 'The table web_sessions is ready (SQLite).\n']);

      const app = await startAdmin({ type: 'typeorm', typeorm: { url, table: 'web_sessions', createTable: false } });
      try {
        await app.loggedIn('ada');
        const again = await cli.run(['migrate-table', '--json'], env);
        expect([again.code, jsonLines(again.stdout)]).toEqual([0, [{ table: 'web_sessions', database: 'SQLite' }]]);
        expect((await cli.run(['count', '--principal', 'ada'], env)).stdout).toBe('1\n');
      } finally {
        await app.close();
      }
    },
    LIMIT,
  );

  it(
    'prints statements that can be run as they are, and needs no database for it',
    async () => {
      const { code, stdout } = await cli.run(['migrate-table', '--print', '--type', 'better-sqlite3', '--table', 'printed']);
      expect(code).toBe(0);
      const database = await new DataSource({ type: 'better-sqlite3', database: ':memory:' }).initialize();
      for (const statement of stdout.split(/;\n/).filter(Boolean)) await database.query(statement);
      const rows = await database.query<{ name: string }[]>(
        "SELECT name FROM sqlite_master WHERE sql IS NOT NULL AND tbl_name = 'printed'",
      );
      const names = rows.map(({ name }) => name);
      await database.destroy();
      expect(names.sort()).toEqual(['printed', 'printed_principal_idx', 'printed_purge_at_idx']);

      const env = { SESSION_SQLALCHEMY: 'postgresql://nowhere/app', SESSION_SQLALCHEMY_TABLE: 'web.sessions' };
      const [printed] = jsonLines((await cli.run(['migrate-table', '--print', '--json'], env)).stdout);
      expect(printed).toEqual({
        type: 'postgres',
        table: 'web.sessions',
        statements: createSessionsTableStatements('postgres', 'web.sessions'),
      });
    },
    LIMIT,
  );

  it.each<[string, string[], string]>([
    ['no kind of database', ['--print'], '--print needs --type'],
    ['an unknown kind', ['--print', '--type', 'oracle'], 'Allowed choices are postgres, mysql, mariadb, better-sqlite3'],
    ['a table that could be anything', ['--print', '--type', 'mysql', '--table', 'a; DROP'], "Give a name, or 'schema.table'"],
    ['options that go with --print', ['--type', 'mysql'], '--type and --table go with --print'],
  ])(
    'refuses %s',
    async (_what, args, reason) => {
      const { code, stdout, stderr } = await cli.run(['migrate-table', ...args]);
      expect([code, stdout]).toEqual([2, '']);
      expect(stderr).toContain(reason);
    },
    LIMIT,
  );

  it(
    'fails with 1 when the database cannot be reached',
    async () => {
      // Below a file there is no folder.
      const url = `sqlite:///${join(cli.folder, 'package.json', 'sessions.db')}`;
      const env = { SESSION_TYPE: 'sqlalchemy', SESSION_SQLALCHEMY: url };
      const { code, stdout, stderr } = await cli.run(['migrate-table'], env);
      expect([code, stdout]).toEqual([1, '']);
      expect(stderr).not.toBe('');
    },
    LIMIT,
  );
});
