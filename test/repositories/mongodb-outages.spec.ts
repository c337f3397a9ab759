import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import mongoose from 'mongoose';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MongodbSessionRepository } from '../../lib/repositories/mongodb/mongodb-session.repository.js';
import { startMongo, type TestServer } from '../servers/index.js';
import { itUnless } from '../servers/it-unless.js';
import { openMongodb } from './mongodb.probe.js';

const MINUTE = 60_000;
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

describe('MongoDB that is not there when the application starts', () => {
  ownServerIt('is waited for by nobody, found later, and given its indexes then', async () => {
    const logged: string[] = [];
    const note = (text: unknown): void => void (String(text).includes('[ServerSession]') && logged.push(String(text)));
    for (const level of ['log', 'warn'] as const) jest.spyOn(Logger.prototype, level).mockImplementation(note);
    const server = await startMongo();
    await server.kill();
    const repository = await openMongodb({ uri: server.url, collection: 'late' }, { storeTimeout: '400ms' });
    try {
      repository.onModuleInit();
      for (const operation of operationsOf(repository)) await expectRejection(operation);
      await server.restart();
      await expectEventually(async () => expect(await repository.create('handle', { payload }, MINUTE)).toBe('1'));
      await expectEventually(async () => expect(logged).toHaveLength(2));
      expect(logged[0]).toMatch(/^\[ServerSession\] MongoDB: the indexes of 'late' could not be created, trying again: /);
      expect(logged[1]).toBe("[ServerSession] MongoDB: 'late' has its indexes now");
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
