import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { refusedUntilAnswered } from '../support/refused-until-answered.js';
import { Logger } from '@nestjs/common';
import mongoose from 'mongoose';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectionFinder } from '../../lib/repositories/mongodb/mongodb-connection.js';
import type { MongodbSessionRepository } from '../../lib/repositories/mongodb/mongodb-session.repository.js';
import type { RepositoryContext } from '../../lib/repositories/repository.factory.js';
import { startMongo, TcpProxy, type TestServer } from '../servers/index.js';
import { itUnless } from '../servers/it-unless.js';
import { openMongodb } from './mongodb.probe.js';

const MINUTE = 60_000;
/** For what takes two timeouts of five seconds. */
const SLOW_MACHINE = 30_000;
const TIMEOUT = 400;
/** A command may first wait for the connection and then for its answer; the layers above stop waiting after half of it. */
const SOON = 2 * TIMEOUT + 1500;
const payload = Buffer.from('payload');
const ownServerIt = itUnless('MONGODB_URL');

describe.each(['a URI', 'a connection of the application'])('MongoDB given as %s', (way) => {
  let server: TestServer;
  let repository: MongodbSessionRepository;
  let application: mongoose.Connection | undefined;

  beforeEach(async () => {
    for (const level of ['log', 'warn', 'error'] as const) jest.spyOn(Logger.prototype, level).mockImplementation(() => undefined);
    server = await startMongo();
    if (way === 'a URI') {
      repository = await openMongodb({ uri: server.url }, { storeTimeout: '400ms' });
    } else {
      application = await mongoose.createConnection(server.url).asPromise();
      repository = await openMongodb({ connection: application }, { storeTimeout: '400ms' });
    }
    repository.onModuleInit();
  }, 60_000);
  afterEach(async () => {
    await repository.onApplicationShutdown();
    await application?.close();
    await server.stop();
    jest.restoreAllMocks();
  });

  const works = async (): Promise<void> => {
    const handle = `handle${Math.random().toString(36).slice(2)}`;
    expect(await repository.create(handle, { payload }, MINUTE)).toBe('1');
    expect((await repository.read(handle))?.payload).toEqual(payload);
  };

  ownServerIt('rejects while the server is gone, in time, and works again by itself', async () => {
    await works();
    await server.kill();
    for (const operation of operationsOf(repository)) await expectRejection(operation);
    await server.restart();
    await expectEventually(works);
  });

  ownServerIt('has lost its server in between without noticing', async () => {
    await works();
    await server.kill();
    await server.restart();
    await expectEventually(works);
  });
});

describe.each(['a URI', 'a connection of the application'])('A network that forgets the connections to MongoDB, given as %s,', (way) => {
  it('is noticed, and requests work again within two timeouts, however many connections there were', async () => {
    const server = await startMongo();
    const proxy = await TcpProxy.start(server.port);
    const uri = `mongodb://127.0.0.1:${proxy.port}/test`;
    const application = way === 'a URI' ? undefined : await mongoose.createConnection(uri).asPromise();
    const repository = await openMongodb(application ? { connection: application } : { uri }, { storeTimeout: '5s' });
    try {
      await repository.create('handle', { payload }, MINUTE);
      // As many connections as requests at the same time, all of them idle afterwards.
      await Promise.all(Array.from({ length: 100 }, () => repository.read('handle')));
      expect(proxy.connections).toBeGreaterThan(4);
      proxy.forget();

      const start = performance.now();
      expect(await refusedUntilAnswered(() => repository.read('handle'))).toBeLessThanOrEqual(2);
      expect(performance.now() - start).toBeLessThan(SLOW_MACHINE);
      const more = await Promise.allSettled(Array.from({ length: 20 }, () => repository.read('handle')));
      expect(new Set(more.map(({ status }) => status))).toEqual(new Set(['fulfilled']));
    } finally {
      await repository.onApplicationShutdown();
      await proxy.stop();
      await application?.close();
      await server.stop();
    }
  }, 120_000);
});

describe('A heartbeat of the driver that never ends, as after a reset while it greets MongoDB,', () => {
  it('makes a client of our own give way to another, which works', async () => {
    const server = await startMongo();
    const find = await connectionFinder({
      options: { storeTimeout: 400, mongodb: { uri: server.url, db: 'test' } },
    } as unknown as RepositoryContext);
    const connection = find();
    try {
      const first = await connection.database();
      first.client.emit('serverHeartbeatStarted', { connectionId: '127.0.0.1:1' } as mongoose.mongo.ServerHeartbeatStartedEvent);
      expect(await connection.database()).toBe(first);
      let second = first;
      await expectEventually(async () => expect((second = await connection.database())).not.toBe(first));
      expect(await second.command({ ping: 1 })).toMatchObject({ ok: 1 });
      await sleep(1500);
      expect(await connection.database()).toBe(second);
    } finally {
      await connection.close();
      await server.stop();
    }
  }, 60_000);
});

describe('MongoDB that hangs under writes', () => {
  ownServerIt(
    'costs no memory meanwhile, and stores nothing later that was refused, except what lay in a socket',
    async () => {
      const server = await startMongo();
      const repository = await openMongodb({ uri: server.url }, { storeTimeout: '400ms' });
      const body = Buffer.alloc(20_000, 'x');
      try {
        await repository.create('first', { payload: body }, MINUTE);
        await server.pause();
        let asked = 0;
        const heaps: number[] = [];
        for (const end = performance.now() + 6000; performance.now() < end;) {
          const wave = Array.from({ length: 200 }, () => repository.create(`late${asked++}`, { payload: body }, MINUTE));
          const outcomes = await Promise.allSettled(wave);
          expect(outcomes.every(({ status }) => status === 'rejected')).toBe(true);
          heaps.push(process.memoryUsage().rss);
        }
        await server.resume();
        await expectEventually(async () => expect(await repository.read('first')).toBeDefined());
        const page = await repository.list({ limit: 1000 });
        const CONNECTIONS = 100;
        expect(asked).toBeGreaterThan(1000);
        expect(page.records.length).toBeLessThanOrEqual(1 + CONNECTIONS);
        expect(Math.max(...heaps) - heaps[1]!).toBeLessThan(60_000_000);
      } finally {
        await repository.onApplicationShutdown();
        await server.stop();
      }
    },
    60_000,
  );
});

describe('MongoDB that is not there when the application starts', () => {
  ownServerIt('is waited for by nobody, found later, and given its indexes then', async () => {
    const logged: string[] = [];
    const note = (text: unknown): void => void (String(text).startsWith('MongoDB') && logged.push(String(text)));
    for (const level of ['log', 'error'] as const) jest.spyOn(Logger.prototype, level).mockImplementation(note);
    const server = await startMongo();
    await server.kill();
    const repository = await openMongodb({ uri: server.url, collection: 'late' }, { storeTimeout: '400ms' });
    try {
      repository.onModuleInit();
      for (const operation of operationsOf(repository)) await expectRejection(operation);
      await server.restart();
      await expectEventually(async () => expect(await repository.create('handle', { payload }, MINUTE)).toBe('1'));
      await expectEventually(async () => expect(logged).toHaveLength(4));
      const refused = `connect ECONNREFUSED ${server.host}:${server.port}`;
      expect(logged.sort()).toEqual([
        'MongoDB is back',
        "MongoDB: 'late' has its indexes now",
        `MongoDB: ${refused}`,
        `MongoDB: the indexes of 'late' could not be created, trying again: ${refused} (option 'mongodb.createIndexes')`,
      ]);
      const client = await new mongoose.mongo.MongoClient(server.url).connect();
      expect((await client.db('test').collection('late').indexes()).map(({ name }) => name)).toContain('expiresAt_1');
      await client.close();
    } finally {
      await repository.onApplicationShutdown();
      await server.stop();
      jest.restoreAllMocks();
    }
  });
});

describe('MongoDB that is stopped', () => {
  ownServerIt('is given up in time, by a client of our own even on the socket, and answers again when it goes on', async () => {
    const server = await startMongo();
    const repository = await openMongodb({ uri: server.url }, { storeTimeout: '400ms' });
    try {
      await repository.create('handle', { payload }, MINUTE);
      await server.pause();
      await expectRejection(() => repository.create('other', { payload }, MINUTE));
      await server.resume();
      await expectEventually(async () => expect((await repository.read('handle'))?.payload).toEqual(payload));
    } finally {
      await repository.onApplicationShutdown();
      await server.stop();
    }
  });
});

it('A repository that was shut down connects no more', async () => {
  const repository = await openMongodb({ uri: 'mongodb://127.0.0.1:1' }, { storeTimeout: '100ms' });
  await repository.onApplicationShutdown();
  await expect(repository.read('handle')).rejects.toThrow('was closed');
});

function operationsOf(repository: MongodbSessionRepository): (() => Promise<unknown>)[] {
  return [
    () => repository.read('handle'),
    () => repository.read('handle', MINUTE),
    () => repository.create('handle', { payload }, MINUTE),
    () => repository.update('handle', { payload }, '1', MINUTE),
    () => repository.delete('handle'),
    () => repository.list({ limit: 10 }),
    () => repository.count({}),
    () => repository.purgeExpired(),
  ];
}

async function expectRejection(question: () => Promise<unknown>): Promise<void> {
  const outcome = await Promise.race([
    question().then(
      () => 'answered',
      () => 'rejected',
    ),
    sleep(SOON, 'hanging'),
  ]);
  expect(outcome).toBe('rejected');
}

async function expectEventually(expectation: () => Promise<unknown>): Promise<void> {
  const end = Date.now() + 10_000;
  for (;;) {
    try {
      await expectation();
      return;
    } catch (error) {
      if (Date.now() > end) throw error;
      await sleep(50);
    }
  }
}
