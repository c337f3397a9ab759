import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Connection } from 'mongoose';
import { describeSessionRepository } from 'nestjs-server-session/testing';
import { UnreadableRecordError } from '../../lib/errors.js';
import type { MongodbSessionRepository } from '../../lib/repositories/mongodb/mongodb-session.repository.js';
import { startMongo, type TestServer } from '../servers/index.js';
import { commandsDuring, connect, discard, documents, openMongodb } from './mongodb.probe.js';

const MINUTE = 60_000;
const payload = Buffer.from('payload');

let server: TestServer;
beforeAll(async () => {
  server = await startMongo();
}, 60_000);
afterAll(() => server?.stop());

// A long time for what many requests do at once on a busy machine: this is not about timeouts.
describeSessionRepository('MongoDB', () => openMongodb({ uri: server.url, db: 'conformance' }, { storeTimeout: '30s' }));

describe('MongoDB', () => {
  let connection: Connection;
  let repository: MongodbSessionRepository;
  const opened: MongodbSessionRepository[] = [];
  const open = async (...options: Parameters<typeof openMongodb>): Promise<MongodbSessionRepository> => {
    const made = await openMongodb(...options);
    opened.push(made);
    return made;
  };

  beforeEach(async () => {
    connection = await connect(server.url);
    repository = await open({ connection });
  });
  afterEach(async () => {
    for (const made of opened.splice(0)) await made.onApplicationShutdown();
    await discard(connection);
  });

  describe('what is stored', () => {
    it('is one document with id, version, bytes, expiry and principal', async () => {
      const before = Date.now();
      await repository.create('handle', { payload, principal: 'ann' }, MINUTE);
      const [document, ...others] = await documents(connection).find().toArray();
      expect(others).toEqual([]);
      expect({ ...document, payload: undefined, expiresAt: undefined }).toEqual({ _id: 'session:handle', version: 1, principal: 'ann' });
      expect(document?.payload).toMatchObject({ _bsontype: 'Binary', sub_type: 0 });
      const expiresAt = document?.expiresAt.getTime() ?? 0;
      expect(expiresAt).toBeGreaterThanOrEqual(before + MINUTE - 1000);
      expect(expiresAt).toBeLessThanOrEqual(Date.now() + MINUTE + 1000);
    });

    it('has no principal where the session has none any more', async () => {
      await repository.create('handle', { payload, principal: 'ann' }, MINUTE);
      await repository.update('handle', { payload }, '1', MINUTE);
      expect(await documents(connection).findOne()).not.toHaveProperty('principal');
    });

    it('is in the collection and the database of the options', async () => {
      const other = await open({ connection, db: `${connection.name}_other`, collection: 'web.sessions' }, { keyPrefix: 'shop:' });
      await other.create('handle', { payload }, MINUTE);
      const db = connection.getClient().db(`${connection.name}_other`);
      expect(await db.collection('web.sessions').countDocuments({ _id: 'shop:handle' as never })).toBe(1);
      expect(await documents(connection).countDocuments()).toBe(0);
      await db.collection('web.sessions').deleteMany({});
    });

    it.each(['text', null, { $binary: 'x' }])('and is no session when its payload is %j, is reported as unreadable', async (foreign) => {
      await repository.create('handle', { payload }, MINUTE);
      await documents(connection).updateOne({}, { $set: { payload: foreign as never } });
      await expect(repository.read('handle')).rejects.toThrow(UnreadableRecordError);
      expect(await repository.list({ limit: 10 })).toEqual({ records: [], cursor: undefined });
    });

    it('reads the same with whatever the connection does to the values of documents', async () => {
      const odd = await connect(server.url, { dbName: connection.name, promoteValues: false, promoteLongs: false });
      const other = await open({ connection: odd });
      await repository.create('handle', { payload, principal: 'ann' }, MINUTE);
      expect(await other.read('handle')).toMatchObject({ version: '1', principal: 'ann', payload });
      expect(await other.read('handle', MINUTE)).toMatchObject({ version: '1', principal: 'ann', payload });
      await odd.close();
    });
  });

  describe('commands', () => {
    const names = async (work: () => Promise<unknown>): Promise<string[]> =>
      (await commandsDuring(connection, work)).map(({ commandName }) => commandName);

    beforeEach(async () => {
      await repository.create('handle', { payload }, MINUTE);
    });

    it('are one for every operation', async () => {
      expect(await names(() => repository.create('other', { payload }, MINUTE))).toEqual(['insert']);
      expect(await names(() => repository.read('handle'))).toEqual(['find']);
      expect(await names(() => repository.read('absent'))).toEqual(['find']);
      expect(await names(() => repository.read('handle', MINUTE))).toEqual(['findAndModify']);
      expect(await names(() => repository.update('handle', { payload }, '1', MINUTE))).toEqual(['update']);
      expect(await names(() => repository.delete('handle', '1'))).toEqual(['delete']);
      expect(await names(() => repository.delete('handle', '2'))).toEqual(['delete']);
      await repository.create('second', { payload }, MINUTE);
      expect(await names(() => repository.delete('second'))).toEqual(['delete']);
    });

    it('are two for an update that fails, to tell a conflict from a session that is gone', async () => {
      expect(await names(() => repository.update('handle', { payload }, '7', MINUTE))).toEqual(['update', 'find']);
      expect(await names(() => repository.update('absent', { payload }, '1', MINUTE))).toEqual(['update', 'find']);
    });

    it('ask the server for its time once, before the first of them', async () => {
      const fresh = await open({ connection });
      expect(await names(() => fresh.read('handle'))).toEqual(['hello', 'find']);
      expect(await names(() => fresh.read('handle'))).toEqual(['find']);
    });

    it('never upsert', async () => {
      const sent = await commandsDuring(connection, async () => {
        for (const handle of ['handle', 'absent']) {
          await repository.read(handle, MINUTE);
          await repository.update(handle, { payload, principal: 'ann' }, '1', MINUTE);
          await repository.update(handle, { payload }, '1', MINUTE);
          await repository.delete(handle);
          await repository.update(handle, { payload }, '2', MINUTE);
        }
      });
      expect(sent.length).toBeGreaterThan(8);
      expect(JSON.stringify(sent.map(({ command }) => command))).not.toContain('"upsert":true');
      expect(await documents(connection).countDocuments()).toBe(0);
    });
  });

  describe('the write concern', () => {
    it.each([
      ['is majority where the connection has none', {}, { w: 'majority' }],
      ['is that of the connection', { w: 1 as const }, { w: 1 }],
      ['keeps what the connection says of the journal', { journal: true }, { w: 'majority', j: true }],
      ['is never none at all', { w: 0 as const }, { w: 'majority' }],
    ])('%s', async (_what, options, expected) => {
      const own = await connect(server.url, { dbName: connection.name, ...options });
      const other = await open({ connection: own });
      const sent = await commandsDuring(own, () => other.create('handle', { payload }, MINUTE));
      const insert = sent.find(({ commandName }) => commandName === 'insert');
      expect(insert?.command['writeConcern']).toEqual(expected);
      await own.close();
    });
  });

  it('reads from the primary, even on a connection that prefers secondaries', async () => {
    const lagging = await connect(server.url, { dbName: connection.name, readPreference: 'secondary' });
    const other = await open({ connection: lagging });
    await repository.create('handle', { payload }, MINUTE);
    const sent = await commandsDuring(lagging, () => other.read('handle'));
    expect(sent.at(-1)?.command).not.toHaveProperty('$readPreference.mode', 'secondary');
    await lagging.close();
  });

  describe('indexes', () => {
    const indexes = async (): Promise<unknown[]> =>
      (
        await documents(connection)
          .indexes()
          .catch(() => [])
      ).map(({ name, key, expireAfterSeconds, partialFilterExpression }) => ({
        name,
        key,
        expireAfterSeconds,
        partialFilterExpression,
      }));
    const EXPECTED = [
      { name: '_id_', key: { _id: 1 } },
      { name: 'expiresAt_1', key: { expiresAt: 1 }, expireAfterSeconds: 0 },
      { name: 'principal_1__id_1', key: { principal: 1, _id: 1 }, partialFilterExpression: { principal: { $exists: true } } },
    ];

    it('are made when the application starts, whoever else does the same at the same time', async () => {
      const processes = await Promise.all(Array.from({ length: 10 }, () => open({ connection })));
      for (const each of processes) each.onModuleInit();
      await expectSoon(async () => expect(await indexes()).toEqual(EXPECTED));
      for (const each of processes) await each.create(`handle${processes.indexOf(each)}`, { payload }, MINUTE);
      expect(await repository.count({})).toBe(10);
    });

    it('are not made when createIndexes is false', async () => {
      const other = await open({ connection, createIndexes: false });
      const sent = await commandsDuring(connection, async () => {
        other.onModuleInit();
        await other.create('handle', { payload }, MINUTE);
      });
      expect(sent.map(({ commandName }) => commandName)).toEqual(['hello', 'insert']);
      expect(await indexes()).toEqual(EXPECTED.slice(0, 1));
    });
  });

  describe('documents that have expired but are still there', () => {
    beforeEach(async () => {
      await repository.create('handle', { payload, principal: 'ann' }, MINUTE);
      await repository.create('living', { payload, principal: 'ann' }, MINUTE);
      await documents(connection).updateOne({ _id: 'session:handle' }, { $set: { expiresAt: new Date(Date.now() - 1000) } });
    });

    it('are not read, not touched, not updated, not listed, and not counted', async () => {
      expect(await repository.read('handle')).toBeUndefined();
      expect(await repository.read('handle', MINUTE)).toBeUndefined();
      expect(await repository.update('handle', { payload }, '1', MINUTE)).toEqual({ status: 'gone' });
      expect((await repository.list({ limit: 10 })).records.map(({ handle }) => handle)).toEqual(['living']);
      expect(await repository.count({})).toBe(1);
      expect(await repository.count({ principal: 'ann' })).toBe(1);
      expect(await repository.read('handle')).toBeUndefined();
    });

    it('are deleted, though that deletes no session', async () => {
      expect(await repository.delete('handle')).toBe(false);
      expect(await documents(connection).countDocuments()).toBe(1);
    });

    it('are purged, the living are not, nor those of another key prefix', async () => {
      const past = new Date(Date.now() - 1000);
      const many = Array.from({ length: 2500 }, (_, index) => ({ _id: `session:old${index}`, version: 1, payload, expiresAt: past }));
      await documents(connection).insertMany([...many, { _id: 'other:old', version: 1, payload, expiresAt: past }]);
      expect(await repository.purgeExpired()).toBe(2501);
      expect(await repository.purgeExpired()).toBe(0);
      expect((await documents(connection).find().toArray()).map(({ _id }) => _id).sort()).toEqual(['other:old', 'session:living']);
    });
  });

  it.each(['', 'a', 'a:', 'a.*(b)[c]$^|?+{1}\\/', '$where'])('lists only what is under the key prefix %j', async (keyPrefix) => {
    const others = ['session:', 'aa:', 'a:a:', 'b', 'a.xb', '$'].filter((prefix) => !/^[\w-]*$/.test(prefix.slice(keyPrefix.length)));
    for (const prefix of others) await (await open({ connection }, { keyPrefix: prefix })).create('handle', { payload }, MINUTE);
    const one = await open({ connection }, { keyPrefix });
    await one.create('first', { payload }, MINUTE);
    await one.create('-second_', { payload }, MINUTE);
    const { records } = await one.list({ limit: 100 });
    expect(records.map(({ handle }) => handle).sort()).toEqual(['-second_', 'first']);
    expect(await one.count({})).toBe(2);
  });

  it.each<[string, unknown]>([
    ['a comparison', { $ne: null }],
    ['a pattern', { $regex: '^a' }],
    ['a regular expression', /a/],
    ['a list', ['ann']],
    ['null', null],
    ['a number', 0],
  ])('takes no operator of queries for a principal or a cursor: %s', async (_what, value) => {
    await repository.create('handle', { payload, principal: 'ann' }, MINUTE);
    const other = value as string;
    const sent = await commandsDuring(connection, async () => {
      await expect(repository.count({ principal: other })).rejects.toThrow(TypeError);
      await expect(repository.list({ principal: other, limit: 10 })).rejects.toThrow(TypeError);
      await expect(repository.list({ principal: 'ann', cursor: other, limit: 10 })).rejects.toThrow(TypeError);
    });
    expect(sent).toEqual([]);
  });

  it('tells how long a session has left, and a touch tells how long it had', async () => {
    await repository.create('handle', { payload }, MINUTE);
    const remaining = async (touch?: number): Promise<number> => (await repository.read('handle', touch))?.remaining ?? 0;
    expect(Math.abs((await remaining()) - MINUTE)).toBeLessThan(10_000);
    expect(Math.abs((await remaining(10 * MINUTE)) - MINUTE)).toBeLessThan(10_000);
    expect(Math.abs((await remaining()) - 10 * MINUTE)).toBeLessThan(10_000);
  });

  it('goes by the clock of the server', async () => {
    const HOUR = 60 * MINUTE;
    const serverTime = (): number => Date.now() + HOUR;
    connection.db!.command = async () => ({ ok: 1, localTime: new Date(serverTime()) });
    await repository.create('handle', { payload }, MINUTE);
    const document = await documents(connection).findOne();
    expect(Math.abs((document?.expiresAt.getTime() ?? 0) - serverTime() - MINUTE)).toBeLessThan(10_000);
    expect(await repository.read('handle')).toBeDefined();
    await documents(connection).updateOne({}, { $set: { expiresAt: new Date(Date.now() + MINUTE) } });
    expect(await repository.read('handle')).toBeUndefined();
  });

  it('leaves the connection of the application open', async () => {
    const listeners = connection.getClient().listenerCount('topologyDescriptionChanged');
    const other = await openMongodb({ connection });
    await other.create('handle', { payload }, MINUTE);
    await other.onApplicationShutdown();
    expect(await documents(connection).countDocuments()).toBe(1);
    expect(connection.getClient().listenerCount('topologyDescriptionChanged')).toBe(listeners);
  });

  it('uses the database of its URI, else server_session', async () => {
    const { host, port } = server;
    for (const [uri, name] of [
      [`mongodb://${host}:${port}/in_uri?appName=x`, 'in_uri'],
      [`mongodb://${host}:${port}/?appName=x`, 'server_session'],
      [`mongodb://${host}:${port}`, 'server_session'],
    ] as const) {
      const own = await open({ uri, collection: connection.name });
      await own.create('handle', { payload }, MINUTE);
      const collection = connection.getClient().db(name).collection(connection.name);
      expect(await collection.countDocuments()).toBe(1);
      await collection.deleteMany({});
    }
  });
});

async function expectSoon(expectation: () => Promise<void>): Promise<void> {
  const end = Date.now() + 10_000;
  for (;;) {
    try {
      return await expectation();
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
