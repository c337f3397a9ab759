import { beforeEach, describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ServerSession, SessionConflictError } from 'nestjs-server-session';
import { idIn, type OpenRequest, SimulatedProcess } from './support/simulated-process.js';
import { type Command, SteppingRepository } from './support/stepping.repository.js';

const GRACE = 300;

const regenerate = (session: ServerSession): Promise<void> => session.regenerate();
const logIn =
  (user: string) =>
  (session: ServerSession): void => {
    session.principal = user;
  };

describe('While a session gets a new id,', () => {
  let store: SteppingRepository;
  let a: SimulatedProcess;
  let b: SimulatedProcess;
  let id: string;

  beforeEach(async () => {
    store = new SteppingRepository();
    a = await SimulatedProcess.start(store, { regenerateGrace: `${GRACE}ms` });
    b = await SimulatedProcess.start(store, { regenerateGrace: `${GRACE}ms` });
    id = await a.begin({ n: 1 });
  });

  describe('requests with the old id', () => {
    it('that are in flight lose nothing: their changes are in the new session, without a cookie', async () => {
      const inFlight = await b.open(id);
      const next = idIn(await a.request(id, regenerate));
      inFlight.session.set('tardy', 1);
      inFlight.session.flash('info', 'late');
      expect(await inFlight.finish()).toBe('none');
      expect(await a.look(next)).toEqual({ n: 1, tardy: 1 });
      expect((await a.open(next)).session.flashes('info')).toEqual(['late']);
    });

    it('that save while the record is moving lose nothing', async () => {
      const regenerating = await a.open(id);
      store.interleave('update', () => b.request(id, (session) => session.set('between', 1)));
      await regenerating.session.regenerate();
      const next = idIn(await regenerating.finish());
      expect(await b.look(next)).toEqual({ n: 1, between: 1 });
    });

    it('find the session for the grace, and never get the new id', async () => {
      const next = idIn(await a.request(id, regenerate));
      expect(await b.request(id, (session) => session.set('m', 2))).toBe('none');
      expect(await b.look(next)).toEqual({ n: 1, m: 2 });
    });

    it('find nothing after the grace', async () => {
      const next = idIn(await a.request(id, regenerate));
      await sleep(GRACE + 20);
      expect([await a.look(id), await b.look(id), await b.look(next)]).toEqual([undefined, undefined, { n: 1 }]);
    });

    it('do not gain time by being used', async () => {
      await a.request(id, regenerate);
      for (let waited = 0; waited < GRACE + 40; waited += 40) {
        await b.look(id);
        await sleep(40);
      }
      expect([await a.look(id), await b.look(id)]).toEqual([undefined, undefined]);
    });

    it('find nothing at once where the grace is 0', async () => {
      const c = await SimulatedProcess.start(store, { regenerateGrace: 0 });
      const next = idIn(await c.request(id, regenerate));
      expect([await b.look(id), await b.look(next)]).toEqual([undefined, { n: 1 }]);
    });

    it('cannot turn the old id into a lasting one by regenerate()', async () => {
      const owned = idIn(await a.request(id, logIn('ada')));
      const next = idIn(await a.request(owned, regenerate));
      await expect(b.request(owned, regenerate)).rejects.toThrow(SessionConflictError);
      expect((await b.open(next)).session.principal).toBe('ada');
      await sleep(GRACE + 20);
      expect((await b.open(owned)).session.isNew).toBe(true);
    });

    it('cannot log in within a session whose new id somebody else has', async () => {
      const attackers = idIn(await a.request(id, regenerate));
      const victim = await b.open(id);
      await expect(victim.session.regenerate()).rejects.toThrow(SessionConflictError);
      victim.session.principal = 'ada';
      await expect(victim.finish()).rejects.toThrow(SessionConflictError);
      expect((await a.open(attackers)).session.principal).toBeUndefined();
    });

    it.each([true, false])(
      'cannot change whose the session is, with regenerateOnPrincipalChange: %s',
      async (regenerateOnPrincipalChange) => {
        const c = await SimulatedProcess.start(store, { regenerateGrace: `${GRACE}ms`, regenerateOnPrincipalChange });
        const inFlight = await c.open(id);
        const next = idIn(await a.request(id, regenerate));
        await expect(c.request(id, logIn('ada'))).rejects.toThrow(SessionConflictError);
        logIn('ada')(inFlight.session);
        await expect(inFlight.finish()).rejects.toThrow(SessionConflictError);
        expect([(await b.open(next)).session.principal, await b.look(next)]).toEqual([undefined, { n: 1 }]);
        expect(await store.memory.count({ principal: 'ada' })).toBe(0);
      },
    );

    it('cannot give rights to the client that has the new id', async () => {
      const next = idIn(await a.request(id, regenerate));
      const stepUp = async (session: ServerSession): Promise<void> => {
        await session.regenerate();
        session.set('sudo', true);
      };
      await expect(b.request(id, stepUp)).rejects.toThrow(SessionConflictError);
      expect(await a.look(next)).toEqual({ n: 1 });
    });

    it('see nothing of what comes after the regeneration, in no way', async () => {
      const inFlight = await b.open(id);
      const owner = await a.open(id);
      await owner.session.regenerate();
      const follower = await b.open(id);
      owner.session.set('sudo', true);
      const next = idIn(await owner.finish());
      expect(await b.look(id)).toEqual({ n: 1 });
      const seen = (request: OpenRequest): unknown => request.session.get('sudo');
      for (const request of [inFlight, follower]) {
        request.session.set('n', 2);
        await request.session.save();
        expect(seen(request)).toBeUndefined();
        await request.session.reload();
        expect(seen(request)).toBeUndefined();
        await expect(request.session.update((session) => session.get('sudo'))).rejects.toThrow(SessionConflictError);
        expect(await request.finish()).toBe('none');
      }
      expect(await a.look(next)).toEqual({ n: 2, sudo: true });
    });
  });

  describe('when the principal changes,', () => {
    const ways: [string, (session: ServerSession) => Promise<void>][] = [
      ['by itself', async (session) => logIn('ada')(session)],
      [
        'after regenerate()',
        async (session) => {
          await session.regenerate();
          session.principal = 'ada';
        },
      ],
      [
        'before regenerate()',
        async (session) => {
          session.principal = 'ada';
          await session.regenerate();
        },
      ],
      [
        'after regenerate({ keep: false })',
        async (session) => {
          await session.regenerate({ keep: false });
          session.principal = 'ada';
        },
      ],
    ];

    it.each(ways)('%s, the old id is dead at once', async (_way, handler) => {
      const next = idIn(await a.request(id, handler));
      expect([await a.look(id), await b.look(id)]).toEqual([undefined, undefined]);
      expect((await b.open(next)).session.principal).toBe('ada');
    });

    it.each(ways)('%s, requests that had loaded the old id change nothing', async (_way, handler) => {
      const attacker = await b.open(id);
      const next = idIn(await a.request(id, handler));
      attacker.session.set('planted', 1);
      expect(await attacker.finish()).toBe('none');
      expect(await a.look(next)).not.toHaveProperty('planted');
    });

    describe('a request that had already followed the old id to the new one', () => {
      let follower: OpenRequest;
      let next: string;
      beforeEach(async () => {
        const { session, finish } = await a.open(id);
        await session.regenerate();
        follower = await b.open(id);
        session.principal = 'ada';
        session.set('secret', 1);
        next = idIn(await finish());
      });

      it('changes nothing', async () => {
        follower.session.set('planted', 1);
        expect(await follower.finish()).toBe('none');
        expect(await a.look(next)).toEqual({ n: 1, secret: 1 });
      });

      it('sees nothing by reload()', async () => {
        await follower.session.reload();
        expect(follower.session.get('secret')).toBeUndefined();
        expect(await follower.finish()).toBe('none');
      });

      it('sees and changes nothing by update()', async () => {
        const seen: unknown[] = [];
        const spying = follower.session.update((session) => {
          seen.push(session.get('secret'));
          session.set('planted', 1);
        });
        await expect(spying).rejects.toThrow(SessionConflictError);
        expect(seen).not.toContain(1);
        expect(await a.look(next)).toEqual({ n: 1, secret: 1 });
      });

      it('gets no id by regenerate() and a log-in of its own', async () => {
        await follower.session.regenerate().catch(() => undefined);
        follower.session.principal = 'eve';
        expect(await follower.finish()).toBe('none');
        expect((await a.open(next)).session.principal).toBe('ada');
      });
    });

    it('a log-out by regenerate({ keep: false }) leaves nothing behind for the old id', async () => {
      const adas = idIn(await a.request(id, logIn('ada')));
      const next = idIn(await a.request(adas, (session) => session.regenerate({ keep: false })));
      expect([await b.look(adas), (await b.open(next)).session.principal]).toEqual([undefined, undefined]);
    });

    it('data that another request stored meanwhile stays out of regenerate({ keep: false })', async () => {
      const adas = idIn(await a.request(id, logIn('ada')));
      const regenerating = await a.open(adas);
      store.interleave('update', () => b.request(adas, (session) => session.set('private', 1)));
      await regenerating.session.regenerate({ keep: false });
      regenerating.session.set('fresh', 1);
      expect(await b.look(idIn(await regenerating.finish()))).toEqual({ fresh: 1 });
    });
  });

  describe('by two requests at once,', () => {
    const both = async (sid: string): Promise<PromiseSettledResult<void>[]> => {
      const requests = await Promise.all([a.open(sid), b.open(sid)]);
      const results = await Promise.allSettled(requests.map(({ session }) => session.regenerate()));
      const answers = await Promise.all(requests.map(({ finish }) => finish()));
      const ids = answers.flatMap((answer) => (typeof answer === 'string' ? [] : [answer.id]));
      expect(ids).toHaveLength(1);
      await sleep(GRACE + 20);
      expect(await a.look(ids[0] ?? '')).toEqual({ n: 1 });
      expect(await a.look(sid)).toBeUndefined();
      return results;
    };

    it.each([true, false])('one wins and the other is told (signed in: %s)', async (isSignedIn) => {
      const results = await both(isSignedIn ? idIn(await a.request(id, logIn('ada'))) : id);
      const [failed] = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
      expect(failed).toBeInstanceOf(SessionConflictError);
    });

    it('two log-ins do not share a session', async () => {
      const requests = await Promise.all([a.open(id), b.open(id)]);
      requests.forEach(({ session }, index) => (session.principal = `user-${index}`));
      const answers = await Promise.all(requests.map(({ finish }) => finish()));
      const ids = answers.flatMap((answer) => (typeof answer === 'string' ? [] : [answer.id]));
      expect(ids).toHaveLength(1);
      expect(await store.memory.count({})).toBe(1);
    });
  });

  describe('a process that dies', () => {
    let dying: SimulatedProcess;
    beforeEach(async () => {
      dying = await SimulatedProcess.start(store, { regenerateGrace: `${GRACE}ms`, storeTimeout: '50ms' });
    });

    /** Everything after this command never happens. */
    const dieAt = (command: Command, when: 'before' | 'after'): void => {
      const frozen = (): Promise<void> => new Promise(() => undefined);
      store[when] = (current) => {
        if (current !== command) return undefined;
        store[when] = () => undefined;
        return frozen();
      };
    };

    it.each([
      ['before the new record is there', 'create', 'before'],
      ['before the answer that the new record is there', 'create', 'after'],
      ['between the new record and the end of the old one', 'update', 'before'],
    ] as const)('%s leaves the session under its old id', async (_moment, command, when) => {
      const { session } = await dying.open(id);
      dieAt(command, when);
      session.regenerate().catch(() => undefined);
      await sleep(20);
      expect(await b.look(id)).toEqual({ n: 1 });
      const next = idIn(await b.request(id, regenerate));
      expect(await b.look(next)).toEqual({ n: 1 });
    });

    it('after the end of the old one leaves the session to requests with the old id for the grace', async () => {
      const { session } = await dying.open(id);
      dieAt('update', 'after');
      session.regenerate().catch(() => undefined);
      await sleep(20);
      expect(await b.look(id)).toEqual({ n: 1 });
      expect(await store.memory.count({})).toBe(2);
    });
  });
});
