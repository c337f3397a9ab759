import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import type { DataSource } from 'typeorm';
import type { TypeormSessionRepository } from '../../lib/repositories/typeorm/typeorm-session.repository.js';
import { TcpProxy } from '../servers/index.js';
import { eventually } from '../support/eventually.js';
import { mariadb, openRepository, postgres } from './typeorm-bench.js';

const STARTUP = 120_000;
const LONG = 600_000;
const TIMEOUT = 2000;
const POOL = 5;
const record = (text: string) => ({ payload: Buffer.from(text) });

for (const [database, setReadOnly] of [
  [postgres(), (on: boolean) => `ALTER ROLE CURRENT_USER SET default_transaction_read_only = ${on ? 'on' : 'off'}`],
  [mariadb(), (on: boolean) => `SET GLOBAL TRANSACTION READ ${on ? 'ONLY' : 'WRITE'}`],
] as const) {
  describe.each(['the application', 'its own'])(`connections to ${database.name} from a DataSource of %s`, (whose) => {
    let admin: DataSource;
    let proxy: TcpProxy;
    let app: DataSource | undefined;
    let repository: TypeormSessionRepository;

    beforeAll(async () => {
      await database.start();
      admin = await database.connect({ poolSize: 1 });
    }, STARTUP);
    afterAll(async () => {
      await admin?.destroy();
      await database.stop();
    }, STARTUP);
    beforeEach(async () => {
      const { port } = new URL(database.url.replace(/^\w+:/, 'http:'));
      proxy = await TcpProxy.start(Number(port));
    });
    afterEach(async () => {
      await proxy.stop();
      await repository?.onApplicationShutdown();
      await app?.destroy();
      app = undefined;
    });

    /** A repository all of whose pool is connected, and for longer than storeTimeout. */
    async function open(): Promise<void> {
      await openRepository({ dataSource: admin });
      const url = database.url.replace(/:\d+\//, `:${proxy.port}/`);
      if (whose === 'the application') app = await database.connect({ url, poolSize: POOL });
      const source = app === undefined ? { url, poolSize: POOL } : { dataSource: app };
      repository = await openRepository({ ...source, createTable: false }, { storeTimeout: `${TIMEOUT}ms` });
      await eventually(async () => {
        await Promise.allSettled(Array.from({ length: 4 * POOL }, () => repository.read('none')));
        expect(proxy.connections).toBe(POOL);
      }, 20_000);
      await pause(TIMEOUT + 100);
    }

    it('that a network has forgotten cost one storeTimeout in all, not one each', async () => {
      await open();
      proxy.forget();
      await expect(repository.read('none')).rejects.toThrow(`did not answer within ${TIMEOUT} ms`);
      for (let n = 0; n < 2 * POOL; n++) expect(await repository.read('none')).toBeUndefined();
    });

    it('that have become read-only are replaced within the same operation', async () => {
      await admin.query(setReadOnly(true));
      try {
        await open();
        await expect(admin.query(setReadOnly(false))).resolves.toBeDefined();
        for (let n = 0; n < 2 * POOL; n++) expect(await repository.create(`r${n}`, record('1'), LONG)).toBe('1');
        for (let n = 0; n < 2 * POOL; n++) expect(await repository.delete(`r${n}`)).toBe(true);
      } finally {
        await admin.query(setReadOnly(false));
      }
    });

    it('are not opened again and again while the server itself is read-only', async () => {
      await admin.query(setReadOnly(true));
      try {
        await open();
        let opened = 0;
        const { connections } = proxy;
        for (let n = 0; n < 20; n++) {
          await expect(repository.create('x', record('1'), LONG)).rejects.toThrow(/read-only|READ ONLY/);
          opened = Math.max(opened, proxy.connections - connections);
        }
        expect(opened).toBeLessThanOrEqual(1);
        expect(await repository.read('none')).toBeUndefined();
      } finally {
        await admin.query(setReadOnly(false));
      }
    });
  });
}
