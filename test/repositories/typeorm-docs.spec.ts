import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { MigrationInterface } from 'typeorm';
import ts from 'typescript';
import * as library from 'nestjs-server-session';
import { allDatabases, makeRepository } from './typeorm-bench.js';

const STARTUP = 120_000;
const { createSessionsTableStatements } = library;
/** Where the function of the migration comes from: far quicker to check than the whole package. */
const TABLE = join(process.cwd(), 'lib', 'repositories', 'typeorm', 'table-statements.ts');
const MIGRATION = join(process.cwd(), 'test', 'repositories', 'migration-of-the-docs.ts');

/** The blocks of code in a language. */
function blocks(page: string, language: string): string[] {
  return [...page.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map(([, code = '']) => code);
}

/** What the compiler has to say about a file that is not on disk. */
function complaints(path: string, source: string): string[] {
  const config = ts.readConfigFile(join(process.cwd(), 'tsconfig.json'), (file) => ts.sys.readFile(file));
  const parsed = ts.parseJsonConfigFileContent(config.config, ts.sys, process.cwd());
  const options: ts.CompilerOptions = { ...parsed.options, paths: { 'nestjs-server-session': [TABLE] } };
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists } = host;
  host.fileExists = (file) => file === path || fileExists.call(host, file);
  host.getSourceFile = (file, target, ...rest) =>
    file === path ? ts.createSourceFile(file, source, target) : getSourceFile.call(host, file, target, ...rest);
  const program = ts.createProgram([path], options, host);
  const file = program.getSourceFile(path);
  return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)].map(({ messageText }) =>
    ts.flattenDiagnosticMessageText(messageText, '\n'),
  );
}

describe('docs/sql.md', () => {
  let page: string;
  beforeAll(async () => {
    page = await readFile(join(process.cwd(), 'docs', 'sql.md'), 'utf8');
  });

  it.each([
    ['postgres', 0],
    ['mysql', 1],
    ['mariadb', 1],
    ['better-sqlite3', 2],
  ] as const)('shows the statements that createTable runs on %s', (type, index) => {
    const statements = createSessionsTableStatements(type).map((statement) => `${statement};\n`);
    expect(blocks(page, 'sql')[index]).toBe(statements.join(''));
  });

  it(
    'shows a migration that compiles',
    () => {
      expect(complaints(MIGRATION, migration())).toEqual([]);
    },
    STARTUP,
  );

  function migration(): string {
    return blocks(page, 'ts').find((code) => code.includes('MigrationInterface')) ?? '';
  }

  for (const database of allDatabases()) {
    describe(`its migration on ${database.name}`, () => {
      beforeAll(() => database.start(), STARTUP);
      afterAll(() => database.stop(), STARTUP);

      it('makes a table that keeps sessions, and removes it', async () => {
        const source = migration().replace("'postgres', 'sessions'", `'${database.type}', 'sessions'`);
        const { outputText } = ts.transpileModule(source, {
          compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022 },
        });
        const exports: Record<string, new () => MigrationInterface> = {};
        // It has one import that is left after compiling: this package.
        new Function('exports', 'require', outputText)(exports, () => library);
        const app = await database.connect({ migrations: Object.values(exports) });
        await app.runMigrations();
        const repository = await makeRepository({ dataSource: app, createTable: false });
        await repository.onModuleInit();
        expect(await repository.create('a', { payload: Buffer.from('1'), principal: 'ann' }, 60_000)).toBe('1');
        expect(await repository.count({ principal: 'ann' })).toBe(1);
        await app.undoLastMigration();
        await expect(app.query('SELECT * FROM sessions')).rejects.toThrow();
        await app.destroy();
      });
    });
  }
});
