import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import {
  Body,
  Controller,
  Get,
  type INestApplication,
  Inject,
  Injectable,
  Module,
  type ModuleMetadata,
  type OnModuleInit,
  Post,
} from '@nestjs/common';
import { getConnectionToken, MongooseModule } from '@nestjs/mongoose';
import { Test } from '@nestjs/testing';
import mongoose, { type Connection } from 'mongoose';
import { randomUUID } from 'node:crypto';
import {
  type ServerSession,
  ServerSessionModule,
  type ServerSessionOptions,
  Session,
  SessionOptionsError,
  SessionRepository,
} from 'nestjs-server-session';
import { startMongo, TcpProxy, type TestServer } from '../servers/index.js';
import { Browser } from './browser.js';

@Controller()
class BagController {
  @Post() put(@Session() session: ServerSession, @Body() body: { key: string; value: unknown }): void {
    session.set(body.key, body.value);
  }
  @Post('bytes') bytes(@Session() session: ServerSession): void {
    session.set('bytes', new Uint8Array([0, 1, 127, 128, 255]));
    session.set('nested', new Map([['a.b', { $set: new Date(0), $where: [10n] }]]));
  }
  @Get() all(@Session() session: ServerSession): unknown {
    return session;
  }
  @Get('bytes') readBytes(@Session() session: ServerSession): unknown {
    const bytes: unknown = session.get('bytes');
    const nested: unknown = session.get('nested');
    if (!(bytes instanceof Uint8Array) || !(nested instanceof Map)) return 'something else';
    const inner: unknown = nested.get('a.b');
    const { $set, $where } = inner as { $set: Date; $where: bigint[] };
    return { bytes: [...bytes], date: $set.toISOString(), big: String($where[0]) };
  }
}

let server: TestServer;
let app: INestApplication | undefined;

beforeAll(async () => {
  server = await startMongo();
}, 60_000);
afterAll(() => server?.stop());
afterEach(async () => {
  await app?.close();
  app = undefined;
});

/** A URI of a database that no other test uses. */
function freshUri(): { uri: string; db: string } {
  const db = `wiring_${randomUUID()}`;
  return { uri: `mongodb://${server.host}:${server.port}/${db}`, db };
}

async function start(imports: NonNullable<ModuleMetadata['imports']>, providers: ModuleMetadata['providers'] = []): Promise<Browser> {
  @Module({ imports, providers, controllers: [BagController] })
  class AppModule {}

  const module = await Test.createTestingModule({ imports: [AppModule] }).compile();
  app = module.createNestApplication({ logger: false });
  await app.listen(0, '127.0.0.1');
  return new Browser((await app.getUrl()).replace('[::1]', '127.0.0.1'));
}

const sessions = (options: ServerSessionOptions = {}): ReturnType<typeof ServerSessionModule.forRoot> =>
  ServerSessionModule.forRoot({ type: 'mongodb', ...options });

/** How many sessions a database holds, seen past the module. */
async function countIn(db: string, collection = 'sessions'): Promise<number> {
  const client = await new mongoose.mongo.MongoClient(server.url).connect();
  try {
    return await client.db(db).collection(collection).countDocuments();
  } finally {
    await client.close();
  }
}

async function expectRoundTrip(browser: Browser): Promise<void> {
  expect((await browser.post('', { key: 'cart', value: ['tea'] })).status).toBe(201);
  expect((await browser.get('')).json).toEqual({ cart: ['tea'] });
}

describe('An application with MongooseModule', () => {
  it.each(['before', 'after'])('needs type: mongodb and nothing else; MongooseModule stands %s', async (place) => {
    const { uri, db } = freshUri();
    const ours = sessions();
    const theirs = MongooseModule.forRoot(uri);
    await expectRoundTrip(await start(place === 'before' ? [theirs, ours] : [ours, theirs]));
    expect(await countIn(db)).toBe(1);
  });

  it.each(['before', 'after'])('may give the URI late, in forRootAsync, %s ours', async (place) => {
    const { uri, db } = freshUri();
    const theirs = MongooseModule.forRootAsync({
      useFactory: async () => {
        await new Promise((resolve) => setTimeout(resolve, 100));
        return { uri };
      },
    });
    const ours = ServerSessionModule.forRootAsync({ useFactory: async () => ({ type: 'mongodb' as const }) });
    await expectRoundTrip(await start(place === 'before' ? [theirs, ours] : [ours, theirs]));
    expect(await countIn(db)).toBe(1);
  });

  it('may have its connection in a module further down', async () => {
    const { uri, db } = freshUri();
    @Module({ imports: [MongooseModule.forRoot(uri)] })
    class DatabaseModule {}
    await expectRoundTrip(await start([sessions(), DatabaseModule]));
    expect(await countIn(db)).toBe(1);
  });

  it.each(['cats', 'dogs', undefined])('and several connections uses the one called %s', async (connectionName) => {
    const [none, cats, dogs] = [freshUri(), freshUri(), freshUri()];
    const browser = await start([
      MongooseModule.forRoot(cats.uri, { connectionName: 'cats' }),
      sessions({ mongodb: connectionName === undefined ? {} : { connectionName } }),
      MongooseModule.forRoot(dogs.uri, { connectionName: 'dogs' }),
      MongooseModule.forRoot(none.uri),
    ]);
    await expectRoundTrip(browser);
    expect([await countIn(cats.db), await countIn(dogs.db), await countIn(none.db)]).toEqual([
      connectionName === 'cats' ? 1 : 0,
      connectionName === 'dogs' ? 1 : 0,
      connectionName === undefined ? 1 : 0,
    ]);
  });

  it('can choose another database and collection on its connection', async () => {
    const [theirs, other] = [freshUri(), freshUri()];
    await expectRoundTrip(await start([MongooseModule.forRoot(theirs.uri), sessions({ mongodb: { db: other.db, collection: 'visits' } })]));
    expect([await countIn(theirs.db, 'visits'), await countIn(other.db, 'visits')]).toEqual([0, 1]);
  });

  it('does not start with the name of a connection that it does not have', async () => {
    const { uri } = freshUri();
    const started = start([MongooseModule.forRoot(uri), sessions({ mongodb: { connectionName: 'birds' } })]);
    await expect(started).rejects.toThrow(SessionOptionsError);
    await expect(started).rejects.toThrow(
      "'mongodb.connectionName' is 'birds'; allowed: the name of a connection of the application, as in " +
        "MongooseModule.forRoot(uri, { connectionName: 'birds' })",
    );
  });

  it('can use sessions in its own onModuleInit already', async () => {
    const { uri } = freshUri();
    @Injectable()
    class Early implements OnModuleInit {
      found: unknown = 'not asked';
      constructor(@Inject(SessionRepository) private readonly repository: SessionRepository) {}
      async onModuleInit(): Promise<void> {
        this.found = await this.repository.read('absent');
      }
    }
    await start([MongooseModule.forRoot(uri), sessions()], [Early]);
    expect(app?.get(Early).found).toBeUndefined();
  });
});

describe('When the application shuts down,', () => {
  it('a connection that it handed over stays open', async () => {
    const { uri, db } = freshUri();
    const connection = await mongoose.createConnection(uri).asPromise();
    try {
      await expectRoundTrip(await start([sessions({ mongodb: { connection } })]));
      await app?.close();
      expect(connection.readyState).toBe(mongoose.ConnectionStates.connected);
      expect(await connection.db?.collection('sessions').countDocuments()).toBe(1);
      expect(await countIn(db)).toBe(1);
    } finally {
      await connection.close();
    }
  });

  it('the connection of MongooseModule is closed by that module, and by it alone', async () => {
    const { uri } = freshUri();
    let closings = 0;
    const connectionFactory = (connection: Connection): Connection => {
      const close = connection.close.bind(connection);
      connection.close = async (force?: boolean) => {
        closings++;
        await close(force);
      };
      return connection;
    };
    await expectRoundTrip(await start([sessions(), MongooseModule.forRoot(uri, { connectionFactory })]));
    const connection = app?.get<Connection>(getConnectionToken(), { strict: false });
    await app?.get(SessionRepository, { strict: false }).onApplicationShutdown?.();
    expect([closings, connection?.readyState]).toEqual([0, mongoose.ConnectionStates.connected]);
    await app?.close();
    expect([closings, connection?.readyState]).toEqual([1, mongoose.ConnectionStates.disconnected]);
  });

  it('a connection of our own is closed', async () => {
    const proxy = await TcpProxy.start(server);
    try {
      const uri = `mongodb://${proxy.host}:${proxy.port}/${freshUri().db}`;
      await expectRoundTrip(await start([sessions({ mongodb: { uri } })]));
      expect(proxy.connections).toBeGreaterThan(0);
      await app?.close();
      while (proxy.connections > 0) await new Promise((resolve) => setTimeout(resolve, 10));
    } finally {
      await proxy.stop();
    }
  });
});

describe('An application without MongooseModule', () => {
  it('needs a URI and nothing else', async () => {
    const { uri, db } = freshUri();
    await expectRoundTrip(await start([sessions({ mongodb: { uri } })]));
    expect(await countIn(db)).toBe(1);
  });

  it('starts without its server, and answers 503', async () => {
    const browser = await start([sessions({ mongodb: { uri: 'mongodb://127.0.0.1:1/' }, storeTimeout: '200ms' })]);
    expect((await browser.post('', { key: 'a', value: 1 })).status).toBe(503);
  });
});

describe('In a session in MongoDB', () => {
  it.each(['json', 'msgpack'] as const)('keys with dots and dollars, and bytes, come back as %s as what they were', async (serializer) => {
    const { uri } = freshUri();
    const browser = await start([sessions({ mongodb: { uri }, serializer })]);
    const value = { 'a.b': 1, $set: { $where: 'x' }, 'c.$.d': ['$'], '': null };
    for (const key of ['a.b', '$set', '$', '.', 'x.$[].y', '__proto__']) await browser.post('', { key, value });
    await browser.post('bytes');
    expect((await browser.get('')).json).toMatchObject({ 'a.b': value, $set: value, $: value, '.': value, 'x.$[].y': value });
    expect((await browser.get('bytes')).json).toEqual({
      bytes: [0, 1, 127, 128, 255],
      date: '1970-01-01T00:00:00.000Z',
      big: '10',
    });
  });
});
