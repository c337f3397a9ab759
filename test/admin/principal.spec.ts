import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { SessionRepository } from 'nestjs-server-session';
import { type AdminApplication, handleOf, startAdmin, whoAmI } from './support/application.js';
import { type SharedStore, STARTUP, STORES } from './support/stores.js';

const someone = (): string => `user-${randomUUID()}`;
const idOf = (browser: { jar: Map<string, string> }): string | undefined => browser.jar.get('session');

describe.each(['memory', 'redis'])('A log-in, on %s,', (name) => {
  let store: SharedStore;
  let app: AdminApplication;
  beforeAll(async () => {
    store = await STORES[name]!();
    app = await startAdmin(store.options);
  }, STARTUP);
  afterAll(async () => {
    await app?.close();
    await store?.stop();
  });

  it.each(['login', 'regenerate-login', 'login-regenerate'])("gives the session a new id: '%s'", async (path) => {
    const victim = app.browser();
    await victim.post('visit');
    const [before, handle] = [idOf(victim), await handleOf(victim)];
    await victim.post(path, { user: 'ann' });
    expect(idOf(victim)).not.toBe(before);
    expect(await whoAmI(victim)).toMatchObject({ user: 'ann', data: { visited: true } });
    expect(await app.sessions.get(handle)).toBeUndefined();
  });

  it.each(['login', 'regenerate-login', 'login-regenerate'])(
    'leads nobody to it who knew the id from before, not for a second: %s',
    async (path) => {
      const victim = app.browser();
      await victim.post('visit');
      const attacker = victim.clone();
      await victim.post(path, { user: 'ann' });
      expect(await whoAmI(attacker)).toMatchObject({ user: null, data: {} });
    },
  );

  it('cannot be watched by requests with the old id that are sent all the while', async () => {
    const victim = app.browser();
    await victim.post('visit');
    const attacker = victim.clone();
    const spying = Array.from({ length: 20 }, () => whoAmI(attacker.clone()));
    const login = victim.post('login', { user: 'ann' });
    spying.push(...Array.from({ length: 20 }, () => whoAmI(attacker.clone())));
    expect(new Set((await Promise.all(spying)).map(({ user }) => user))).toEqual(new Set([null]));
    await login;
    expect((await whoAmI(victim)).user).toBe('ann');
  });

  it('keeps the id while the user stays the same', async () => {
    const { browser } = await app.loggedIn('ann');
    const id = idOf(browser);
    await browser.post('login', { user: 'ann', device: 'phone' });
    expect([idOf(browser), (await whoAmI(browser)).data]).toEqual([id, { device: 'phone' }]);
  });

  it('cannot happen inside of session.update(), which would keep the id', async () => {
    const victim = app.browser();
    await victim.post('visit');
    expect((await victim.post('update-login', { user: 'ann' })).status).toBe(500);
    expect((await whoAmI(victim)).user).toBeNull();
  });

  it('keeps the id where the application wants it so', async () => {
    const other = await startAdmin({ ...store.options, regenerateOnPrincipalChange: false });
    const { browser } = await other.loggedIn('ann');
    const id = idOf(browser);
    await browser.post('login', { user: 'bob' });
    expect([idOf(browser), (await whoAmI(browser)).user]).toEqual([id, 'bob']);
    await other.close();
  });
});

describe.each(['memory', 'filesystem', 'redis', 'postgres'])('maxSessionsPerPrincipal on %s', (name) => {
  let store: SharedStore;
  const applications: AdminApplication[] = [];
  const start = async (onMaxSessions: 'evict-oldest' | 'reject', maxSessionsPerPrincipal = 2): Promise<AdminApplication> => {
    const app = await startAdmin({ ...store.options, maxSessionsPerPrincipal, onMaxSessions });
    applications.push(app);
    return app;
  };
  beforeAll(async () => (store = await STORES[name]!()), STARTUP);
  afterAll(async () => {
    for (const app of applications) await app.close();
    await store?.stop();
  });

  it('ends the session that was not used for longest', async () => {
    const app = await start('evict-oldest');
    const user = someone();
    const [first, second] = [await app.loggedIn(user), await app.loggedIn(user)];
    await app.sessions.update(first.handle, (session) => session.set('used', true));
    const third = await app.loggedIn(user);
    const users = await Promise.all([first, second, third].map(async ({ browser }) => (await whoAmI(browser)).user));
    expect(users).toEqual([user, null, user]);
    expect(await app.sessions.count({ principal: user })).toBe(2);
  });

  it('never lets more remain when many log in at the same time, in several processes', async () => {
    const apps = [await start('evict-oldest'), await start('evict-oldest')];
    const user = someone();
    await Promise.all(Array.from({ length: 10 }, (_unused, n) => apps[n % 2]!.loggedIn(user)));
    expect(await apps[0]!.sessions.count({ principal: user })).toBeLessThanOrEqual(2);
  });

  it('leaves one where many log in at the same time in one process', async () => {
    const app = await start('evict-oldest', 1);
    const user = someone();
    await Promise.all(Array.from({ length: 6 }, () => app.loggedIn(user)));
    expect(await app.sessions.count({ principal: user })).toBe(1);
  });

  it('refuses the log-in with 409, tells nothing, and leaves the session as it was', async () => {
    const app = await start('reject');
    const user = someone();
    const devices = [await app.loggedIn(user), await app.loggedIn(user)];
    const visitor = app.browser();
    await visitor.post('visit');
    const id = idOf(visitor);
    const answer = await visitor.post('login', { user });
    expect([answer.status, answer.json]).toEqual([409, { statusCode: 409, message: 'Conflict' }]);
    expect(await whoAmI(visitor)).toMatchObject({ user: null, data: { visited: true } });
    expect(idOf(visitor)).toBe(id);
    await devices[0]!.browser.post('logout');
    expect((await visitor.post('login', { user })).status).toBe(201);
  });

  it('counts no session of other users, and none of a user who renews the id', async () => {
    const app = await start('reject', 1);
    const [user, other] = [someone(), someone()];
    const { browser } = await app.loggedIn(user);
    await app.loggedIn(other);
    expect((await browser.post('regenerate')).status).toBe(201);
    expect((await whoAmI(browser)).user).toBe(user);
  });
});

describe('maxSessionsPerPrincipal', () => {
  it('is refused at boot where the back end cannot list', async () => {
    const start = startAdmin({ type: 'memcached', maxSessionsPerPrincipal: 3 });
    await expect(start).rejects.toThrow(/'maxSessionsPerPrincipal' is 3.*memcached.*cannot list/);
  });

  it('is a whole number from 1', async () => {
    await expect(startAdmin({ type: 'memory', maxSessionsPerPrincipal: 0 })).rejects.toThrow(/a whole number from 1/);
  });
});

describe('Where sessions cannot be listed,', () => {
  it('listing says so with 501, and what needs no list works', async () => {
    class Unlistable extends SessionRepository {
      private readonly records = new Map<string, { payload: Uint8Array; version: string }>();
      override async create(handle: string, { payload }: { payload: Uint8Array }): Promise<string> {
        this.records.set(handle, { payload, version: '1' });
        return '1';
      }
      override async read(handle: string): Promise<{ payload: Uint8Array; version: string } | undefined> {
        return this.records.get(handle);
      }
      override async update(
        handle: string,
        { payload }: { payload: Uint8Array },
        base: string,
      ): Promise<{ status: 'updated'; version: string }> {
        const version = `${base}1`;
        this.records.set(handle, { payload, version });
        return { status: 'updated', version };
      }
      override async delete(handle: string): Promise<boolean> {
        return this.records.delete(handle);
      }
    }
    const app = await startAdmin({ repository: new Unlistable() });
    const { browser, handle } = await app.loggedIn('ann');
    const refused = [app.sessions.list(), app.sessions.count({ principal: 'ann' }), app.sessions.revokeAll({ principal: 'ann' })];
    for (const answer of refused) {
      await expect(answer).rejects.toMatchObject({ status: 501, message: expect.stringMatching(/repository Unlistable cannot/) });
    }
    expect((await app.sessions.get(handle))?.principal).toBe('ann');
    expect(await app.sessions.update(handle, (session) => session.set('a', 1).get('a'))).toBe(1);
    expect(await app.sessions.revoke(handle)).toBe(true);
    expect((await whoAmI(browser)).user).toBeNull();
    await app.close();
  });
});

describe("With type 'null',", () => {
  it('there are no sessions', async () => {
    const { sessions, close } = await startAdmin({ type: 'null', maxSessionsPerPrincipal: 3 });
    expect(await sessions.list()).toEqual({ sessions: [], cursor: undefined });
    expect(await sessions.count()).toBe(0);
    expect(await sessions.get('handle')).toBeUndefined();
    expect(await sessions.update('handle', () => 1)).toBeUndefined();
    expect(await sessions.revoke('handle')).toBe(false);
    expect(await sessions.revokeAll({ principal: 'ann' })).toBe(0);
    expect(await sessions.purgeExpired()).toBe(0);
    await close();
  });
});
