import { afterAll, afterEach, beforeAll, describe, expect } from '@jest/globals';
import type { TypeormSessionRepository } from '../../lib/repositories/typeorm/typeorm-session.repository.js';
import { itUnless } from '../servers/it-unless.js';
import { TcpProxy } from '../servers/index.js';
import { mariadb, openRepository, postgres } from './typeorm-bench.js';

const STARTUP = 120_000;
const LONG = 600_000;
const TIMEOUT = 700;
/** What a machine under load may add to a timeout. */
const SLACK = 3000;
const SHORT = { storeTimeout: `${TIMEOUT}ms` };

const record = (text: string) => ({ payload: Buffer.from(text) });

/** Runs out of patience only when the test does. */
async function untilItWorks(repository: TypeormSessionRepository, handle: string): Promise<void> {
  for (;;) {
    const created = await repository.create(handle, record(handle), LONG).catch(() => undefined);
    if (created !== undefined || (await repository.read(handle).catch(() => undefined)) !== undefined) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** All of them are turned down, and in time. */
async function expectRefusals(repository: TypeormSessionRepository): Promise<void> {
  const begin = performance.now();
  const answers = await Promise.allSettled(Array.from({ length: 30 }, () => repository.read('kept')));
  expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 30 }, () => 'rejected'));
  expect(performance.now() - begin).toBeLessThan(TIMEOUT + SLACK);
}

for (const [database, variable] of [
  [postgres({ durable: true }), 'POSTGRES_URL'],
  [mariadb({ durable: true }), 'MYSQL_URL'],
] as const) {
  const it = itUnless(variable);

  describe(`when ${database.name} fails`, () => {
    const opened: TypeormSessionRepository[] = [];
    const open = async (...args: Parameters<typeof openRepository>): Promise<TypeormSessionRepository> => {
      const repository = await openRepository(...args);
      opened.push(repository);
      return repository;
    };

    beforeAll(() => database.start(), STARTUP);
    afterAll(() => database.stop(), STARTUP);
    afterEach(async () => {
      for (const repository of opened.splice(0)) await repository.onApplicationShutdown();
    });

    it(
      'begins without it, and finds it later',
      async () => {
        await database.server?.kill();
        const repository = await open({ url: database.url, table: 'late' }, SHORT);
        await expectRefusals(repository);
        await database.server?.restart();
        await untilItWorks(repository, 'a');
      },
      STARTUP,
    );

    it(
      'keeps what was stored over a kill, refuses meanwhile, and goes on by itself',
      async () => {
        const repository = await open({ url: database.url }, SHORT);
        expect(await repository.create('kept', record('kept'), LONG)).toBe('1');
        await database.server?.kill();
        await expectRefusals(repository);
        await database.server?.restart();
        await untilItWorks(repository, 'b');
        expect(Buffer.from((await repository.read('kept'))?.payload ?? []).toString()).toBe('kept');
        await repository.delete('kept');
      },
      STARTUP,
    );

    it(
      'does so with a DataSource of the application',
      async () => {
        const app = await database.connect();
        const repository = await open({ dataSource: app, table: 'apps' }, SHORT);
        await database.server?.pause();
        await expectRefusals(repository);
        await expectRefusals(repository);
        await database.server?.resume();
        await untilItWorks(repository, 'c');
        await database.server?.kill();
        await expectRefusals(repository);
        await database.server?.restart();
        await untilItWorks(repository, 'd');
        await app.destroy();
      },
      STARTUP,
    );

    it(
      'gives up connections on which nothing comes back, and opens new ones',
      async () => {
        const { port } = new URL(database.url.replace(/^\w+:/, 'http:'));
        const proxy = await TcpProxy.start(Number(port));
        const url = database.url.replace(`:${port}`, `:${proxy.port}`);
        const repository = await open({ url, table: 'cut', poolSize: 3 }, SHORT);
        await untilItWorks(repository, 'e');
        proxy.drop();
        await expectRefusals(repository);
        await expectRefusals(repository);
        await proxy.heal();
        await untilItWorks(repository, 'f');
        await repository.onApplicationShutdown();
        await proxy.stop();
      },
      STARTUP,
    );
  });
}
