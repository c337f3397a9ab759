import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { type INestApplicationContext, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import fc from 'fast-check';
import { type ServerSession, ServerSessionModule, type ServerSessionOptions, SessionService } from 'nestjs-server-session';
import { SessionManager } from '../../lib/session/session-manager.js';
import { toServerSession } from '../../lib/session/server-session.js';
import { TcpProxy } from '../servers/index.js';
import { itUnless } from '../servers/it-unless.js';
import { eventually } from '../support/eventually.js';
import { FUZZ_RUNS } from '../support/fuzz.js';
import { shown } from '../support/shown.js';
import { errorFaults } from './support/error-faults.js';
import { startStore, type Store, STORES, variableOf } from './support/stores.js';

const PATIENCE = 240_000;
/** Sessions of a case. */
const TOGETHER = 20;
const RUNS = Math.ceil(FUZZ_RUNS / 20_000);

/** Words that are found again, wherever they turn up. */
const words = fc.array(fc.stringMatching(/^w[0-9]{4}[A-Za-z0-9]{6,20}$/), { minLength: TOGETHER, maxLength: TOGETHER });

/** What was logged. Nest has one logger for all applications of a process. */
const lines: string[] = [];
const note = (...line: unknown[]): void => void lines.push(line.map(String).join(' '));
const logger = { log: note, warn: note, error: note, debug: note, verbose: note, fatal: note };

/** Sessions as an application has them, without HTTP. */
class Sessions {
  private constructor(
    private readonly app: INestApplicationContext,
    private readonly manager: SessionManager,
  ) {}

  static async start(options: ServerSessionOptions): Promise<Sessions> {
    @Module({ imports: [ServerSessionModule.forRoot(options)] })
    class Application {}
    const app = await NestFactory.createApplicationContext(Application, { logger });
    return new Sessions(app, app.get(SessionManager, { strict: false }));
  }

  get service(): SessionService {
    return this.app.get(SessionService);
  }

  async open(id?: string): Promise<ServerSession> {
    return toServerSession(id === undefined ? this.manager.blank() : await this.manager.load([id]), this.manager);
  }

  /** A new session with this word in its data, and of a principal of this name. */
  async begin(word: string): Promise<ServerSession> {
    const session = await this.open();
    Object.assign(session, { principal: word, [`the ${word}`]: word, cards: [{ number: word }] });
    return session;
  }

  close(): Promise<void> {
    return this.app.close();
  }
}

describe.each(STORES)('The errors of %s', (name) => {
  const itHere = itUnless(variableOf(name));
  const both: Sessions[] = [];
  let store: Store;
  let proxy: TcpProxy | undefined;
  let faults: ReturnType<typeof errorFaults>;

  beforeAll(async () => {
    store = await startStore(name);
    // MongoDB's driver does not always come back where a connection is accepted and reset at once, as this proxy does.
    proxy = name === 'mongodb' ? undefined : store.server && (await TcpProxy.start(store.server.port));
    faults = errorFaults(name, store, proxy);
    for (const hashIds of [true, false]) {
      both.push(await Sessions.start({ storeTimeout: '2s', keyPrefix: `${hashIds}:`, hashIds, ...store.session(proxy?.port) }));
    }
  }, PATIENCE);
  afterAll(async () => {
    await Promise.all(both.map((sessions) => sessions.close()));
    await proxy?.stop();
    await store.stop();
  }, PATIENCE);

  /** All that can be done to a stored session, and a new one, at the same time. @returns what was thrown. */
  const workOn = async (sessions: Sessions, stored: ServerSession, word: string): Promise<unknown[]> => {
    const { sid, handle } = stored;
    const fresh = await sessions.begin(word);
    const outcomes = await Promise.allSettled([
      fresh.save(),
      sessions.open(sid),
      sessions.service.get(handle),
      sessions.service.list({ principal: word }),
      sessions.service.update(handle, (session) => session.set('more', `${word}!`)),
      Object.assign(stored, { more: word }).save(),
    ]);
    outcomes.push(...(await Promise.allSettled([stored.regenerate()])), ...(await Promise.allSettled([stored.destroy()])));
    const secrets = [word, sid, handle, fresh.sid, fresh.handle, stored.sid, stored.handle];
    const thrown = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []));
    const everything = [...thrown.map(shown), ...lines].join('\n');
    for (const secret of secrets) expect(everything).not.toContain(secret);
    return thrown;
  };

  itHere(
    'and the lines in the log hold nothing of a session, with hashIds and without, whatever goes wrong',
    async () => {
      for (const [fault, turn] of Object.entries(faults)) {
        let thrown = 0;
        await fc.assert(
          fc.asyncProperty(words, async (chosen) => {
            const stored = await Promise.all(chosen.map((word, index) => eventuallyStored(() => both[index % 2]!.begin(word))));
            await turn(true);
            try {
              const errors = await Promise.all(chosen.map((word, index) => workOn(both[index % 2]!, stored[index]!, word)));
              thrown += errors.flat().length;
            } finally {
              await turn(false);
            }
          }),
          { numRuns: RUNS, endOnFailure: true },
        );
        // A Memcached that is full evicts, and throws nothing.
        if (!(store.evicts && fault === 'full')) expect({ fault, thrown: thrown > 0 }).toEqual({ fault, thrown: true });
      }
    },
    PATIENCE * (1 + RUNS),
  );
});

/** Once the store is back. */
async function eventuallyStored(begin: () => Promise<ServerSession>): Promise<ServerSession> {
  let session!: ServerSession;
  await eventually(async () => {
    session = await begin();
    await session.save();
  }, 45_000);
  return session;
}
