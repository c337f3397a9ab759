import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import connectPgSimple from 'connect-pg-simple';
import { RedisStore } from 'connect-redis';
import session from 'express-session';
import createMemoryStore from 'memorystore';
import { type ListableSessionRepository, UnreadableRecordError } from 'nestjs-server-session';
import { fromExpressStore } from 'nestjs-server-session/interop';
import { describeSessionRepository } from 'nestjs-server-session/testing';
import { promisify } from 'node:util';
import pg from 'pg';
import { createClient } from 'redis';
import { startPostgres, startRedis, type TestServer } from '../servers/index.js';

const LONG = 60_000;
const HANDLE = 'a-handle';
const payload = Buffer.from('hello');
/** Stores of express-session count in whole seconds, or do not tell. */
const SECOND = 1_000;

const MemoryStore = createMemoryStore(session);
const PgStore = connectPgSimple(session);

const memory = new session.MemoryStore();
describeSessionRepository('MemoryStore of express-session', () => fromExpressStore(memory), { compareAndSet: false });

const lru = new MemoryStore({ ttl: undefined, checkPeriod: 0 });
describeSessionRepository('memorystore', () => fromExpressStore(lru), { compareAndSet: false });

describe('with a Redis', () => {
  let server: TestServer;
  let client: ReturnType<typeof createClient>;

  beforeAll(async () => {
    server = await startRedis();
    client = createClient({ url: server.url });
    await client.connect();
  });

  afterAll(async () => {
    client?.destroy();
    await server?.stop();
  });

  describeSessionRepository('connect-redis', () => fromExpressStore(new RedisStore({ client, prefix: 'suite:' })), {
    compareAndSet: false,
    minimumLifetime: SECOND,
  });
});

describe('with a PostgreSQL', () => {
  let server: TestServer;
  let pool: pg.Pool;

  beforeAll(async () => {
    server = await startPostgres();
    pool = new pg.Pool({ connectionString: server.url, max: 5 });
    pool.on('error', () => undefined);
  });

  afterAll(async () => {
    await pool?.end();
    await server?.stop();
  });

  describeSessionRepository(
    'connect-pg-simple',
    () => fromExpressStore(new PgStore({ pool, createTableIfMissing: true, pruneSessionInterval: false })),
    { compareAndSet: false, minimumLifetime: SECOND, lists: false },
  );
});

describe('fromExpressStore', () => {
  it('refuses what is no store, with a message that says what is missing', () => {
    expect(() => fromExpressStore({} as session.Store)).toThrow(
      new TypeError('[ServerSession] fromExpressStore() needs a store with get, set and destroy'),
    );
  });

  it('rejects with the error of the store, called back, thrown or rejected', async () => {
    const error = new Error('the store is down');
    for (const get of [
      (_sid: string, callback: (error: unknown) => void) => callback(error),
      () => {
        throw error;
      },
      () => Promise.reject(error),
    ]) {
      const repository = fromExpressStore(storeWith({ get }));
      await expect(repository.read(HANDLE)).rejects.toBe(error);
      await expect(repository.create(HANDLE, { payload }, LONG)).rejects.toBe(error);
      await expect(repository.delete(HANDLE)).rejects.toBe(error);
    }
  });

  it('goes on with a session after an operation of it has failed', async () => {
    const store = new session.MemoryStore();
    const repository = fromExpressStore(store);
    store.set = (_sid, _session, callback) => callback?.(new Error('no room'));
    await expect(repository.create(HANDLE, { payload }, LONG)).rejects.toThrow('no room');
    Reflect.deleteProperty(store, 'set');
    expect(await repository.create(HANDLE, { payload }, LONG)).toEqual(expect.any(String));
  });

  it('takes the error ENOENT of a store of files as an absent session', async () => {
    const missing = Object.assign(new Error('no such file'), { code: 'ENOENT' });
    const repository = fromExpressStore(storeWith({ get: (_sid: string, callback: (error: unknown) => void) => callback(missing) }));
    expect(await repository.read(HANDLE)).toBeUndefined();
  });

  it('gives a record a new lifetime by writing it again where the store cannot touch', async () => {
    const store = Object.assign(new session.MemoryStore(), { touch: undefined });
    const repository = fromExpressStore(store as unknown as session.Store);
    await repository.create(HANDLE, { payload }, LONG);
    await repository.read(HANDLE, 10 * LONG);
    const { cookie } = JSON.parse((store as unknown as { sessions: Record<string, string> }).sessions[HANDLE] ?? '{}');
    expect(Date.parse(cookie.expires)).toBeGreaterThan(Date.now() + 9 * LONG);
    expect(Buffer.from((await repository.read(HANDLE))?.payload ?? []).toString()).toBe('hello');
  });

  it('does not read a session of another application in the same store, nor list it', async () => {
    const store = new session.MemoryStore();
    const repository = fromExpressStore(store) as ListableSessionRepository;
    await promisify(store.set.bind(store, HANDLE, { cookie: new session.Cookie(), cart: ['tea'] } as never))();
    await expect(repository.read(HANDLE)).rejects.toThrow(UnreadableRecordError);
    expect(await repository.list({ limit: 10 })).toEqual({ records: [], cursor: undefined });
    expect(await repository.count({})).toBe(0);
    expect(await repository.delete(HANDLE)).toBe(true);
  });
});

function storeWith(functions: object): session.Store {
  return Object.assign(new session.MemoryStore(), functions);
}
