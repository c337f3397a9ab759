import MongoStore from 'connect-mongo';
import connectPgSimple from 'connect-pg-simple';
import { RedisStore } from 'connect-redis';
import session, { MemoryStore, type Store as SessionStore } from 'express-session';
import { createClient } from 'redis';
import sessionFileStore from 'session-file-store';
import { type Contender, LIFETIME, type StoreLocation } from './contender.js';
import { requestSessionController } from './session.controller.js';

async function storeOf({ store, location }: StoreLocation): Promise<SessionStore> {
  switch (store) {
    case 'redis': {
      const client = createClient({ url: location });
      await client.connect();
      return new RedisStore({ client });
    }
    case 'filesystem':
      return new (sessionFileStore(session))({ path: location, ttl: LIFETIME, logFn: () => undefined });
    case 'postgres':
      return new (connectPgSimple(session))({ conString: location, createTableIfMissing: true });
    case 'mongodb':
      return MongoStore.create({ mongoUrl: location, collectionName: 'express_sessions' }) as unknown as SessionStore;
    case 'memory':
      return new MemoryStore();
  }
}

/** express-session with the store that its documentation names first for each database. */
export const expressSession: Contender = {
  controller: requestSessionController,
  configure: async (app, where) => {
    app.use(
      session({
        store: await storeOf(where),
        name: 'session',
        secret: 'of the benchmark',
        resave: false,
        saveUninitialized: false,
        cookie: { maxAge: LIFETIME * 1000 },
      }),
    );
  },
};
