import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ServerSessionOptions } from 'nestjs-server-session';
import { startAdmin } from '../admin/support/application.js';
import { freePort } from '../servers/free-port.js';
import { CommandLine, type Ended, jsonLines } from './support/command-line.js';

const LIMIT = 120_000;
const KEY = 'a key of thirty-two bytes or more';

let cli: CommandLine;
beforeAll(async () => {
  cli = await CommandLine.build();
  await mkdir(join(cli.folder, 'app'));
}, LIMIT);
afterAll(() => cli.remove());

/** Writes the compiled module of an application. */
async function write(file: string, lines: readonly string[]): Promise<string> {
  await writeFile(join(cli.folder, 'app', file), lines.join('\n'));
  return `app/${file}`;
}

/** The lines of a module with these options. */
const esm = (options: object, exported = 'export class AppModule {}'): string[] => [
  `import { Module } from '@nestjs/common';`,
  `import { ServerSessionModule } from 'nestjs-server-session';`,
  `export class AnApplicationsOwnService {}`,
  exported,
  `Module({ imports: [ServerSessionModule.forRoot(${JSON.stringify(options)})] })(AppModule);`,
];

const run = (...args: string[]): Promise<Ended> => cli.run(args);

describe('With --module, the command line', () => {
  it(
    'uses the options of the application, also those that the environment cannot say',
    async () => {
      const options: ServerSessionOptions = {
        type: 'filesystem',
        filesystem: { dir: join(cli.folder, 'sealed') },
        encryption: { keys: [KEY] },
      };
      const app = await startAdmin(options);
      try {
        await app.loggedIn('ada', 'sealed');
        const module = await write('app.module.js', esm(options));
        const { code, stdout } = await run('list', '--module', module, '--json', '--data');
        expect([code, jsonLines(stdout)]).toMatchObject([0, [{ principal: 'ada', data: { device: 'sealed' } }]]);

        const stranger = await write('stranger.module.js', esm({ ...options, encryption: { keys: [`another ${KEY}`] } }));
        const unreadable = await run('list', '--module', stranger);
        expect([unreadable.code, unreadable.stdout]).toEqual([3, '']);
        expect(unreadable.stderr).toContain('a stored session cannot be read');
      } finally {
        await app.close();
      }
    },
    LIMIT,
  );

  it(
    'never shows a handle that is an id',
    async () => {
      const options = { type: 'filesystem', filesystem: { dir: join(cli.folder, 'plain') }, hashIds: false } as const;
      const app = await startAdmin(options);
      try {
        const browsers = [(await app.loggedIn('ada')).browser, (await app.loggedIn('ada')).browser];
        const module = await write('plain.module.js', esm(options));
        const { stdout } = await run('list', '--module', module, '--json');
        expect(jsonLines(stdout)).toMatchObject([
          { handle: null, principal: 'ada' },
          { handle: null, principal: 'ada' },
        ]);
        // Nor a cursor, which may be one.
        const page = await run('list', '--module', module, '--limit', '1', '--json');
        expect([jsonLines(page.stdout).length, page.stderr]).toEqual([1, 'There may be more: --all shows them.\n']);
        for (const { jar } of browsers) expect(stdout + page.stdout).not.toContain(jar.get('session'));
      } finally {
        await app.close();
      }
    },
    LIMIT,
  );

  it(
    'takes a default export, and CommonJS',
    async () => {
      const options = { type: 'filesystem', filesystem: { dir: join(cli.folder, 'empty') } };
      const byDefault = await write('default.module.js', esm(options, 'export default class AppModule {}'));
      expect((await run('count', '--module', byDefault)).stdout).toBe('0\n');
      const commonJs = await write('common.module.cjs', [
        `const { Module } = require('@nestjs/common');`,
        `const { ServerSessionModule } = require('nestjs-server-session');`,
        `class AppModule {}`,
        `Module({ imports: [ServerSessionModule.forRoot(${JSON.stringify(options)})] })(AppModule);`,
        `exports.AppModule = AppModule;`,
      ]);
      expect((await run('count', '--module', commonJs)).stdout).toBe('0\n');
    },
    LIMIT,
  );

  it(
    'ends although the application leaves something open',
    async () => {
      const options = { type: 'filesystem', filesystem: { dir: join(cli.folder, 'empty') } };
      const module = await write('open.module.js', [...esm(options), 'setInterval(() => undefined, 1000);']);
      const { code, stdout } = await run('count', '--module', module);
      expect([code, stdout]).toEqual([0, '0\n']);
    },
    LIMIT,
  );

  it(
    'says what is wrong with the file',
    async () => {
      const bare = `import { Module } from '@nestjs/common';\nexport class AppModule {}\nModule({ imports: [] })(AppModule);`;
      const cases: [string, string][] = [
        ['app/absent.js', 'there is no file'],
        [await write('broken.js', ['throw new Error("of the application")']), 'of the application'],
        [await write('nothing.js', ['export class Service {}']), 'exports no class with @Module()'],
        [await write('bare.js', [bare]), 'does not import ServerSessionModule'],
        [await write('null.js', esm({})), "the module has type 'null'"],
      ];
      for (const [file, reason] of cases) {
        const { code, stdout, stderr } = await run('count', '--module', file);
        expect([file, code, stdout]).toEqual([file, 2, '']);
        expect(stderr).toContain(reason);
      }
    },
    LIMIT,
  );

  it(
    'fails with 1 when the store is away, and shows no password',
    async () => {
      const url = `redis://:a-password@127.0.0.1:${await freePort()}`;
      const module = await write('away.js', esm({ type: 'redis', redis: { url }, storeTimeout: '500ms' }));
      const { code, stdout, stderr } = await run('count', '--module', module);
      expect([code, stdout]).toEqual([1, '']);
      expect(stderr).toContain('the session store failed to count sessions');
      expect(stderr).not.toContain('a-password');
    },
    LIMIT,
  );
});
