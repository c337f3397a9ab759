import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { inspect } from 'node:util';
import {
  NullSessionError,
  ReservedSessionKeyError,
  ServerSession,
  type ServerSessionOptions,
  SessionConflictError,
  SessionSerializationError,
  SessionStoreError,
  SessionUnavailableError,
} from 'nestjs-server-session';
import { MemorySessionRepository } from '../../../lib/repositories/memory/memory-session.repository.js';
import { eventually } from '../../support/eventually.js';
import { startSessions, type Sessions } from '../../support/sessions.js';

/** Test data are of any key. */
type Data = ServerSession & Record<string, unknown>;

const MEMBERS = (
  'sid id handle cookie isNew modified permanent lifetime createdAt lastAccessedAt expiresAt principal meta ' +
  'get set has delete clear keys entries regenerate destroy save reload touch update flash flashes'
).split(' ');

/** Names that a JavaScript object has by birth, and that are keys like any other here. */
const ODD_KEYS = [
  '__proto__',
  'constructor',
  'hasOwnProperty',
  'toString',
  'valueOf',
  'then',
  'toJSON',
  '',
  ' ',
  '0',
  '$type',
  'é\ud800',
  '@principal',
  '!a',
  '.a',
];

const DAY = 86_400_000;

describe('The session object', () => {
  let sessions: Sessions;
  const start = async (options?: ServerSessionOptions, repository?: MemorySessionRepository): Promise<void> => {
    sessions = await startSessions(options, repository);
  };
  beforeEach(() => start());
  afterEach(() => void jest.useRealTimers());

  const open = async (id?: string): Promise<Data> => (await sessions.open(id)) as Data;
  /** A request that writes this, and its id. */
  const stored = async (data: Record<string, unknown>): Promise<string> => {
    const session = await open();
    Object.assign(session, data);
    await sessions.commit(session);
    return session.sid;
  };

  describe('calls back, once,', () => {
    const METHODS = ['save', 'reload', 'destroy', 'touch', 'regenerate'] as const;
    const called = (session: ServerSession, method: (typeof METHODS)[number]): Promise<unknown[]> =>
      new Promise((resolve) => {
        const calls: unknown[] = [];
        session[method]((error?: unknown) => {
          calls.push(error);
          setTimeout(() => resolve(calls), 5);
        });
      });

    it.each(METHODS)('%s with nothing where it worked', async (method) => {
      expect(await called(await open(await stored({ a: 1 })), method)).toEqual([undefined]);
      expect(await called(await open(), method)).toEqual([undefined]);
    });

    it.each(METHODS)('%s with the error where the store is down', async (method) => {
      const session = await open(await stored({ a: 1 }));
      session['a'] = 2;
      const down = (): Promise<never> => Promise.reject(new Error('down'));
      Object.assign(sessions.repository, { read: down, update: down, delete: down, create: down });
      const [error, ...others] = await called(session, method);
      expect([error, others]).toEqual([expect.any(SessionStoreError), []]);
    });

    it.each(METHODS)('%s of a session that has ended', async (method) => {
      const id = await stored({ a: 1 });
      const session = await open(id);
      await (await open(id)).destroy();
      session['a'] = 2;
      await session.save();
      expect(await called(session, method)).toEqual([undefined]);
    });

    it('and logs what the callback throws', async () => {
      const lines = jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
      const throwing = (): void => {
        throw new Error('of the callback');
      };
      await (await open(await stored({ a: 1 }))).save(throwing);
      await eventually(async () => expect(lines).toHaveBeenCalledWith(expect.stringContaining('of the callback'), expect.anything()));
      lines.mockRestore();
    });

    it('regenerate, which drops the data, with the object still showing what it held', async () => {
      const session = await open(await stored({ basket: ['tea'], user: 7 }));
      const old = session.sid;
      const shown = await new Promise<unknown>((resolve) => {
        session.regenerate(() => resolve({ ...session }));
      });
      expect([shown, { ...session }]).toEqual([{ basket: ['tea'], user: 7 }, {}]);
      expect([session.sid === old, await sessions.read(old)]).toEqual([false, {}]);
    });
  });

  it('keeps the listed keys with regenerate, and nothing else', async () => {
    for (const keep of [{ keep: ['a'] }, ['a']]) {
      const session = await open();
      Object.assign(session, { a: 1, b: 2, principal: 'ada' });
      session.flash('info', 'x');
      await session.save();
      await session.regenerate(keep);
      expect([{ ...session }, session.principal, session.flashes()]).toEqual([{ a: 1 }, undefined, []]);
      expect(await sessions.read(session.sid)).toEqual({ a: 1 });
    }
    const session = await open(await stored({ a: 1 }));
    await session.regenerate([]);
    expect({ ...session }).toEqual({});
  });

  it('is empty and new by reload once the session has ended', async () => {
    const id = await stored({ a: 1 });
    const session = await open(id);
    session.principal = 'ada';
    await session.save();
    const other = await open(session.sid);
    await (await open(session.sid)).destroy();
    await other.reload();
    expect([{ ...other }, other.principal, other.isNew]).toEqual([{}, undefined, true]);
    other['b'] = 1;
    await sessions.commit(other);
    expect([other.sid === session.sid, await sessions.read(other.sid)]).toEqual([false, { b: 1 }]);
  });

  describe('keeps data', () => {
    it('as properties and by the methods of a dictionary: the same data', async () => {
      const session = await open();
      session['order'] = ['tea'];
      session.set('name', 'Ann').set('age', 7);
      expect([session.get('order'), session['name'], session['age']]).toEqual([['tea'], 'Ann', 7]);
      expect([session.has('order'), 'name' in session, session.has('none'), 'none' in session]).toEqual([true, true, false, false]);
      expect(session.keys()).toEqual(['order', 'name', 'age']);
      expect(session.entries()).toEqual([['order', ['tea']], ['name', 'Ann'], ['age', 7]]); // prettier-ignore
      expect([session.delete('age'), session.delete('age'), delete session['name']]).toEqual([true, false, true]);
      expect({ ...session }).toEqual({ order: ['tea'] });
      session.clear();
      expect(session.keys()).toEqual([]);
    });

    it('that looks like a plain object from outside', async () => {
      const session = await open(await stored({ a: 1, b: { c: 2 } }));
      const data = { a: 1, b: { c: 2 } };
      expect(Object.keys(session)).toEqual(['a', 'b']);
      expect(Object.values(session)).toEqual([1, { c: 2 }]);
      expect(Object.entries(session)).toEqual(Object.entries(data));
      expect(Object.getOwnPropertyNames(session)).toEqual(['a', 'b']);
      expect(Object.getOwnPropertySymbols(session)).toEqual([]);
      expect({ ...session }).toEqual(data);
      expect(Object.assign({}, session)).toEqual(data);
      const { a, none = 'default', ...rest } = session;
      expect([a, none, rest]).toEqual([1, 'default', { b: { c: 2 } }]);
      const seen: string[] = [];
      for (const key in session) seen.push(key);
      expect(seen).toEqual(['a', 'b']);
      expect(Object.hasOwn(session, 'a')).toBe(true);
      expect(Object.hasOwn(session, 'sid')).toBe(false);
      expect(JSON.parse(JSON.stringify(session))).toEqual(data);
      expect(JSON.stringify({ session })).toBe('{"session":{"a":1,"b":{"c":2}}}');
    });

    it('with a fallback for a key that is absent, and only then', async () => {
      const session = await open();
      session['nothing'] = null;
      session['none'] = undefined;
      expect([session.get('nothing', 1), session.get('none', 2), session.get('absent', 3), session.get('absent')]).toEqual([
        null,
        2,
        3,
        undefined,
      ]);
    });

    it.each(ODD_KEYS)('under the key %j like under any other', async (key) => {
      const own = Object.getOwnPropertyNames(Object.prototype);
      const session = await open();
      expect([session[key], session.has(key), key in session]).toEqual([undefined, false, false]);
      session[key] = { polluted: true };
      expect(session.get(key)).toEqual({ polluted: true });
      await sessions.commit(session);
      const again = await open(session.sid);
      expect(Object.keys(again)).toEqual([key]);
      expect(again[key]).toEqual({ polluted: true });
      expect(Reflect.has({}, 'polluted')).toBe(false);
      expect(Object.getOwnPropertyNames(Object.prototype)).toEqual(own);
      delete again[key];
      expect(again.has(key)).toBe(false);
    });

    it('that Object.defineProperty adds, as far as a store can keep it', async () => {
      const session = await open();
      Object.defineProperty(session, 'a', { value: 1 });
      Object.defineProperty(session, 'b', { value: 2, writable: true, enumerable: true, configurable: true });
      expect({ ...session }).toEqual({ a: 1, b: 2 });
      expect(Reflect.defineProperty(session, 'c', { get: () => 3 })).toBe(false);
      expect(Reflect.defineProperty(session, 'c', { value: 3, writable: false })).toBe(false);
      expect(Reflect.defineProperty(session, 'c', { value: 3, configurable: false })).toBe(false);
      expect(session.has('c')).toBe(false);
    });

    it('and no symbols, no other prototype, and cannot be frozen', async () => {
      const session = await open();
      expect(Reflect.set(session, Symbol('s'), 1)).toBe(false);
      expect(Reflect.setPrototypeOf(session, null)).toBe(false);
      expect(() => Object.freeze(session)).toThrow(TypeError);
      session['a'] = 1;
      expect({ ...session }).toEqual({ a: 1 });
    });

    it('and is an instance of ServerSession that can be awaited', async () => {
      const session = await open();
      expect(session).toBeInstanceOf(ServerSession);
      expect(await session).toBe(session);
      session.set('then', 'data');
      expect(await session).toBe(session);
    });
  });

  describe('refuses', () => {
    it.each(MEMBERS)("'%s' as a key, however it is written", async (name) => {
      const session = await open();
      const refused = (write: () => unknown): void => expect(write).toThrow(new ReservedSessionKeyError(name));
      refused(() => session.set(name, 'x'));
      refused(() => session.delete(name));
      refused(() => Object.defineProperty(session, name, { value: 'x' }));
      refused(() => delete (session as Record<string, unknown>)[name]);
      if (!['permanent', 'lifetime', 'principal', 'meta'].includes(name)) {
        refused(() => Reflect.set(session, name, 'x'));
        refused(() => Object.assign(session, { [name]: 'x' }));
      }
      expect([session.has(name), session.get(name), name in session, session.keys()]).toEqual([false, undefined, true, []]);
      expect(session.sid).toMatch(/^[\w-]{43}$/);
    });

    it('nothing else: these are all the names there are', async () => {
      const names = Object.getOwnPropertyNames(ServerSession.prototype).filter((name) => name !== 'constructor');
      expect(names.sort()).toEqual([...MEMBERS].sort());
    });

    it('to save what cannot be serialized, naming the key', async () => {
      const session = await open();
      const tree: Record<string, unknown> = {};
      session['tree'] = tree;
      tree['self'] = tree;
      await expect(sessions.commit(session)).rejects.toThrow(SessionSerializationError);
      await expect(sessions.commit(session)).rejects.toThrow(/'tree' cannot be serialized: it contains itself/);
    });
  });

  describe('never shows its id', () => {
    it.each<[string, (session: ServerSession) => string]>([
      ['JSON', (session) => JSON.stringify(session)],
      ['util.inspect', (session) => inspect(session)],
      ['console.dir', (session) => inspect(session, { customInspect: false })],
      ['a debugger', (session) => inspect(session, { showProxy: true, customInspect: false, depth: 9 })],
      ['a template', (session) => `${session as unknown as string}`],
      ['a spread', (session) => inspect({ ...session })],
      ['Object.entries', (session) => inspect(Object.entries(session))],
      ['a nested log', (session) => inspect({ request: { session } }, { depth: 9 })],
    ])('in %s', async (_, show) => {
      const session = await open(await stored({ a: 1 }));
      expect(show(session)).not.toContain(session.sid);
      expect(show(session)).not.toContain(session.handle);
    });

    it('to structuredClone, which refuses it', async () => {
      const session = await open(await stored({ a: 1 }));
      expect(() => structuredClone(session)).toThrow();
    });
  });

  describe('knows about itself:', () => {
    it('isNew until it is stored', async () => {
      const session = await open();
      expect(session.isNew).toBe(true);
      session['a'] = 1;
      await session.save();
      expect([session.isNew, (await open(session.sid)).isNew]).toEqual([false, false]);
      expect((await open('A'.repeat(43))).isNew).toBe(true);
    });

    it('modified, nested changes included, until it is saved or changed back', async () => {
      const session = await open(await stored({ order: { items: ['tea'] }, n: 1 }));
      const order = session['order'] as { items: string[] };
      expect(session.modified).toBe(false);
      order.items.push('milk');
      expect(session.modified).toBe(true);
      order.items.pop();
      session['n'] = 1;
      expect(session.modified).toBe(false);
      delete session['n'];
      expect(session.modified).toBe(true);
      await session.save();
      expect(session.modified).toBe(false);
    });

    it('permanent: as the option says, or as it was set', async () => {
      expect((await open()).permanent).toBe(true);
      await start({ permanent: false });
      const session = await open();
      expect([session.permanent, session.modified]).toEqual([false, false]);
      session.permanent = true;
      session['a'] = 1;
      await session.save();
      expect([(await open(session.sid)).permanent, await sessions.read(session.sid)]).toEqual([true, { a: 1 }]);
    });

    it('principal and meta: stored, but no data', async () => {
      const session = await open();
      Object.assign(session, { principal: 'ada', meta: { device: 'phone' }, a: 1 });
      await session.save();
      const again = await open(session.sid);
      expect([again.principal, again.meta, { ...again }]).toEqual(['ada', { device: 'phone' }, { a: 1 }]);
      again.principal = undefined;
      again.meta = undefined;
      await again.save();
      const last = await open(again.sid);
      expect([last.principal, last.meta]).toEqual([undefined, undefined]);
    });

    it.each([7, '', {}, ['ada'], 'a\0b', 'a\nb', 'a'.repeat(513)])('a principal that is none of %j', async (principal) => {
      const session = await open();
      session.principal = 'ada';
      expect(() => Object.assign(session, { principal })).toThrow(TypeError);
      expect(session.principal).toBe('ada');
    });

    it('its own lifetime, which it keeps with a new id, and which the cookie follows', async () => {
      const session = await open();
      session.lifetime = '60d';
      session['a'] = 1;
      await session.save();
      const again = await open(session.sid);
      expect([again.lifetime, Math.round((again.expiresAt.getTime() - Date.now()) / DAY)]).toEqual([60 * 86_400, 60]);
      await again.regenerate();
      expect((await open(again.sid)).lifetime).toBe(60 * 86_400);
      again.lifetime = undefined;
      await again.save();
      const last = await open(again.sid);
      expect([last.lifetime, Math.round((last.expiresAt.getTime() - Date.now()) / DAY)]).toEqual([undefined, 31]);
      for (const wrong of ['soon', -1, 0, Number.NaN, Infinity]) expect(() => (last.lifetime = wrong)).toThrow(TypeError);
    });

    it('its lifetime as the cookie of express-session has it', async () => {
      const session = await open();
      session.cookie.maxAge = 60_000;
      expect([session.lifetime, session.permanent, session.cookie.originalMaxAge]).toEqual([60, true, 60_000]);
      session.cookie.expires = new Date(Date.now() + 120_000);
      expect(Math.round((session.cookie.maxAge ?? 0) / 1000)).toBe(120);
      session.cookie.expires = false;
      expect([session.permanent, session.cookie.expires, session.cookie.maxAge]).toEqual([false, null, null]);
      const { path, domain, httpOnly, secure, sameSite } = session.cookie;
      expect([path, domain, httpOnly, secure, sameSite]).toEqual(['/', undefined, true, 'auto', 'lax']);
      expect(session.id).toBe(session.sid);
    });

    it('when it was made and when it ends: the idle time, but not past the absolute lifetime', async () => {
      jest.useFakeTimers({ now: Date.parse('2026-01-01T00:00:00Z'), doNotFake: ['nextTick', 'setImmediate'] });
      await start({ lifetime: '2d', absoluteLifetime: '3d' }, new MemorySessionRepository());
      const session = await open();
      expect(session.createdAt).toEqual(new Date());
      session['a'] = 1;
      await session.save();
      expect(session.expiresAt.getTime()).toBe(Date.now() + 2 * DAY);
      const created = session.createdAt;
      jest.setSystemTime(Date.now() + DAY + 1000);
      const later = await open(session.sid);
      expect(later.createdAt).toEqual(created);
      expect(later.expiresAt.getTime()).toBe(created.getTime() + 3 * DAY);
      await later.regenerate();
      expect([later.createdAt, later.expiresAt.getTime()]).toEqual([created, created.getTime() + 3 * DAY]);
      jest.setSystemTime(created.getTime() + 3 * DAY);
      expect((await open(later.sid)).isNew).toBe(true);
    });

    it('when it was used last: before this request', async () => {
      const before = Date.now();
      const sid = await stored({ a: 1 });
      const between = Date.now();
      await new Promise((resolve) => setTimeout(resolve, 20));
      const { lastAccessedAt } = await open(sid);
      expect(lastAccessedAt.getTime()).toBeGreaterThanOrEqual(before);
      expect(lastAccessedAt.getTime()).toBeLessThanOrEqual(between + 10);
    });

    it('dates that are its own: changing one changes nothing', async () => {
      const session = await open();
      session.createdAt.setTime(0);
      expect(session.createdAt.getTime()).toBeGreaterThan(0);
    });

    it('no principal by a key of that look', async () => {
      const session = await open(await stored({ '@principal': 'eve' }));
      expect([session.principal, { ...session }]).toEqual([undefined, { '@principal': 'eve' }]);
    });

    it('its handle, which is no id', async () => {
      const session = await open(await stored({ a: 1 }));
      expect(session.handle).not.toBe(session.sid);
      expect((await open(session.handle)).isNew).toBe(true);
      expect(await sessions.repository.read(session.handle)).toBeDefined();
    });
  });

  describe('regenerate()', () => {
    it('gives a new id and keeps the data; the old id leads there for a moment, and then nowhere', async () => {
      await start({ regenerateGrace: '60ms' });
      const session = await open(await stored({ a: 1 }));
      const { sid, handle, createdAt } = session;
      session['b'] = 2;
      await session.regenerate();
      expect(session.sid).not.toBe(sid);
      expect([session.createdAt, { ...session }]).toEqual([createdAt, { a: 1, b: 2 }]);
      expect(await sessions.read(session.sid)).toEqual({ a: 1, b: 2 });
      await new Promise((resolve) => setTimeout(resolve, 90));
      expect((await open(sid)).isNew).toBe(true);
      expect(await sessions.repository.read(handle)).toBeUndefined();
    });

    it('without grace ends the old id at once', async () => {
      await start({ regenerateGrace: 0 });
      const session = await open(await stored({ a: 1 }));
      const { sid } = session;
      await session.regenerate();
      expect((await open(sid)).isNew).toBe(true);
    });

    it('drops the data with keep: false', async () => {
      const session = await open(await stored({ a: 1, principal: 'ann' }));
      session.flash('info', 'hello');
      await session.regenerate({ keep: false });
      session['b'] = 2;
      await session.save();
      const again = await open(session.sid);
      expect([{ ...again }, again.principal, again.flashes()]).toEqual([{ b: 2 }, undefined, []]);
    });

    it.each([false, ['b']])('that fails with keep: %j leaves the session as it was, and what was written meanwhile', async (keep) => {
      const id = await stored({ a: { n: 1 }, b: 2, principal: 'ann' });
      const session = await open(id);
      const { update, delete: remove } = sessions.repository;
      session.flash('info', 'hello');
      Object.assign(session, { a: { n: 2 }, c: 3 });
      const down = (): Promise<never> => Promise.reject(new Error('down'));
      Object.assign(sessions.repository, { update: down, delete: down });
      const failing = session.regenerate({ keep });
      Object.assign(session, { c: 4, d: 5 });
      await expect(failing).rejects.toThrow(SessionStoreError);
      Object.assign(sessions.repository, { update, delete: remove });
      expect([session.sid, session.principal, { ...session }]).toEqual([id, 'ann', { a: { n: 2 }, b: 2, c: 4, d: 5 }]);
      await session.save();
      const again = await open(id);
      expect([again.principal, { ...again }, again.flashes('info')]).toEqual(['ann', { a: { n: 2 }, b: 2, c: 4, d: 5 }, ['hello']]);
    });

    it('is refused to a request that came with the old id, and stays so once that has saved', async () => {
      const sid = await stored({ a: 1 });
      const [first, second] = [await open(sid), await open(sid)];
      await first.regenerate();
      second['b'] = 2;
      await second.save();
      expect([sessions.stateOf(second).phase, sessions.stateOf(second).cookie, second.sid]).toEqual(['following', 'none', sid]);
      await expect(second.regenerate()).rejects.toThrow(SessionConflictError);
      expect(await sessions.read(first.sid)).toEqual({ a: 1, b: 2 });
    });

    it('is refused to a request whose own new id has been replaced meanwhile', async () => {
      const first = await open(await stored({ a: 1 }));
      await first.regenerate();
      const second = await open(first.sid);
      await second.regenerate();
      first['b'] = 2;
      await first.save();
      first.principal = 'ann';
      await expect(first.save()).rejects.toThrow(SessionConflictError);
      expect(await sessions.read(second.sid)).toEqual({ a: 1, b: 2 });
    });

    it.each<[boolean, object]>([
      [true, { a: 1, b: 2 }],
      [false, {}],
    ])('with keep: %s treats alike what another request has stored meanwhile', async (keep, expected) => {
      const sid = await stored({ a: 1 });
      const [session, other] = [await open(sid), await open(sid)];
      other['b'] = 2;
      await other.save();
      await session.regenerate({ keep });
      expect(await sessions.read(session.sid)).toEqual(expected);
    });

    it('leaves the way by the old id open for a moment', async () => {
      const sid = await stored({ a: 1 });
      const session = await open(sid);
      await session.regenerate();
      expect(await sessions.read(sid)).toEqual({ a: 1 });
    });

    it('of a session that is not stored costs nothing and stores nothing', async () => {
      const session = await open();
      const { sid } = session;
      await session.regenerate();
      expect(session.sid).not.toBe(sid);
      expect(await sessions.repository.count({})).toBe(0);
    });
  });

  describe('destroy()', () => {
    it('ends the session and empties the object', async () => {
      const session = await open(await stored({ a: 1 }));
      const { sid } = session;
      await session.destroy();
      expect([session.isNew, { ...session }, (await open(sid)).isNew]).toEqual([true, {}, true]);
      expect(sessions.stateOf(session).cookie).toBe('clear');
      await sessions.commit(session);
      expect(await sessions.repository.count({})).toBe(0);
    });

    it('what comes after it is as young as it looks', async () => {
      const session = await open(await stored({ a: 1 }));
      await new Promise((resolve) => setTimeout(resolve, 10));
      const before = Date.now();
      await session.destroy();
      for (const date of [session.createdAt, session.lastAccessedAt]) expect(date.getTime()).toBeGreaterThanOrEqual(before);
    });

    it('before a write: a new session with a new id', async () => {
      const session = await open(await stored({ a: 1 }));
      const { sid } = session;
      await session.destroy();
      session.flash('info', 'good bye');
      await sessions.commit(session);
      expect(session.sid).not.toBe(sid);
      expect((await open(session.sid)).flashes()).toEqual([{ kind: 'info', message: 'good bye' }]);
      expect((await open(sid)).isNew).toBe(true);
    });
  });

  it('writes of requests that run at the same time follow one another, without a conflict', async () => {
    const sid = await stored({ a: 1 });
    const requests = [await open(sid), await open(sid), await open(sid)];
    const update = jest.spyOn(sessions.repository, 'update');
    const read = jest.spyOn(sessions.repository, 'read');
    for (const [n, session] of requests.entries()) session[`n${n}`] = n;
    await Promise.all(requests.map((session) => sessions.commit(session)));
    expect([update.mock.calls.length, read.mock.calls.length]).toEqual([2, 0]);
    expect(await sessions.read(sid)).toEqual({ a: 1, n0: 0, n1: 1, n2: 2 });
  });

  it('touch() of a session that is not stored asks for nothing, and what is written later is stored', async () => {
    const session = await open();
    const read = jest.spyOn(sessions.repository, 'read');
    await session.touch();
    expect(read).not.toHaveBeenCalled();
    session['a'] = 1;
    await sessions.commit(session);
    expect(await sessions.read(session.sid)).toEqual({ a: 1 });
  });

  describe('save() and reload()', () => {
    it('save writes now, and what comes after is written with the response', async () => {
      const session = await open();
      session['a'] = 1;
      await session.save();
      expect(await sessions.read(session.sid)).toEqual({ a: 1 });
      session['b'] = 2;
      await sessions.commit(session);
      expect(await sessions.read(session.sid)).toEqual({ a: 1, b: 2 });
    });

    it('save of an empty session stores nothing, and neither does undefined', async () => {
      const session = await open();
      session.permanent = false;
      session['a'] = undefined;
      await session.save();
      expect([session.isNew, await sessions.repository.count({})]).toEqual([true, 0]);
    });

    it('reload drops unsaved changes and reads those of others', async () => {
      const sid = await stored({ a: 1, b: { n: 1 } });
      const [mine, others] = [await open(sid), await open(sid)];
      mine['a'] = 'mine';
      (mine['b'] as { n: number }).n = 5;
      others['c'] = 'others';
      await others.save();
      await mine.reload();
      expect({ ...mine }).toEqual({ a: 1, b: { n: 1 }, c: 'others' });
      const fresh = await open();
      fresh['x'] = 1;
      await fresh.reload();
      expect({ ...fresh }).toEqual({});
    });

    it('two requests at once lose nothing of one another', async () => {
      const sid = await stored({ a: 1, list: [1] });
      const [one, two] = [await open(sid), await open(sid)];
      one['b'] = 2;
      delete one['a'];
      (two['list'] as number[]).push(2);
      await Promise.all([sessions.commit(one), sessions.commit(two)]);
      expect(await sessions.read(sid)).toEqual({ list: [1, 2], b: 2 });
    });
  });

  describe('update()', () => {
    it('counts right, however many count at once', async () => {
      const sid = await stored({ n: 0 });
      const requests = await Promise.all(Array.from({ length: 20 }, () => open(sid)));
      const results = await Promise.all(
        requests.map((session) => session.update((latest) => latest.set('n', latest.get('n', 0) + 1).get<number>('n'))),
      );
      expect(await sessions.read(sid)).toEqual({ n: 20 });
      expect(results.sort((a = 0, b = 0) => a - b)).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
    });

    it('begins a session that is not stored yet', async () => {
      const session = await open();
      await session.update(async (latest) => latest.set('n', 1));
      expect(await sessions.read(session.sid)).toEqual({ n: 1 });
    });
  });

  describe('flash messages', () => {
    it('are read once, by kind or all, oldest first', async () => {
      const session = await open();
      session.flash('info', 'one');
      session.flash('error', { code: 2 });
      session.flash('info', 'three');
      await session.save();
      const next = await open(session.sid);
      expect(next.flashes('info')).toEqual(['one', 'three']);
      expect(next.flashes('info')).toEqual([]);
      expect(next.flashes()).toEqual([{ kind: 'error', message: { code: 2 } }]);
      await sessions.commit(next);
      expect((await open(session.sid)).flashes()).toEqual([]);
    });

    it('may be read by the request that left them', async () => {
      const session = await open();
      session.flash('info', 'now');
      expect(session.flashes()).toEqual([{ kind: 'info', message: 'now' }]);
      await sessions.commit(session);
      expect(await sessions.repository.count({})).toBe(0);
    });

    it('of requests at the same time add up', async () => {
      const sid = await stored({ a: 1 });
      const requests = await Promise.all(Array.from({ length: 5 }, () => open(sid)));
      requests.forEach((session, index) => session.flash('info', index));
      await Promise.all(requests.map((session) => sessions.commit(session)));
      expect((await open(sid)).flashes('info').sort()).toEqual([0, 1, 2, 3, 4]);
    });

    it('are no data', async () => {
      const session = await open();
      session.flash('info', 'one');
      expect([session.keys(), JSON.stringify(session)]).toEqual([[], '{}']);
    });
  });

  const WRITES: [string, (session: Data) => unknown][] = [
    ['a property', (session) => (session['a'] = 1)],
    ['set', (session) => session.set('a', 1)],
    ['defineProperty', (session) => Object.defineProperty(session, 'a', { value: 1 })],
    ['delete', (session) => session.delete('a')],
    ['the operator delete', (session) => delete session['a']],
    ['clear', (session) => session.clear()],
    ['permanent', (session) => (session.permanent = false)],
    ['principal', (session) => (session.principal = 'ann')],
    ['meta', (session) => (session.meta = {})],
    ['flash', (session) => session.flash('info', 'x')],
    ['regenerate', (session) => session.regenerate()],
    ['destroy', (session) => session.destroy()],
    ['save', (session) => session.save()],
    ['update', (session) => session.update(() => undefined)],
  ];

  describe("with type: 'null'", () => {
    beforeEach(() => start({ type: 'null' }));

    it('reads as empty', async () => {
      const session = await open();
      expect([session['a'], session.get('a', 1), session.has('a'), session.keys(), session.flashes()]).toEqual([
        undefined,
        1,
        false,
        [],
        [],
      ]);
      expect([session.isNew, session.modified, session.permanent, session.principal]).toEqual([true, false, true, undefined]);
      expect(session.sid).toMatch(/^[\w-]+$/);
      await session.reload();
      expect({ ...session }).toEqual({});
    });

    it.each(WRITES)('a write throws NullSessionError, which names the option: %s', async (_, write) => {
      const session = await open();
      const attempt = async (): Promise<unknown> => write(session);
      await expect(attempt()).rejects.toThrow(NullSessionError);
      await expect(attempt()).rejects.toThrow(/set the option 'type'/);
    });
  });

  describe("while the store is down and onStoreError is 'degrade'", () => {
    class DownRepository extends MemorySessionRepository {
      override read(): Promise<never> {
        return Promise.reject(new Error('connection lost'));
      }
    }
    beforeEach(() => start({ onStoreError: 'degrade' }, new DownRepository()));

    it.each(WRITES)('a write throws SessionUnavailableError, and reading works: %s', async (_, write) => {
      const session = await open('A'.repeat(43));
      const attempt = async (): Promise<unknown> => write(session);
      await expect(attempt()).rejects.toThrow(SessionUnavailableError);
      expect([{ ...session }, session.get('a', 1)]).toEqual([{}, 1]);
      await sessions.commit(session);
    });

    it('the log has one line for the outage and one for its end', async () => {
      const lines: string[] = [];
      for (const level of ['log', 'error'] as const)
        jest.spyOn(Logger.prototype, level).mockImplementation((line: unknown) => void lines.push(`${level}: ${String(line)}`));
      for (let request = 0; request < 3; request++) await open('A'.repeat(43));
      Object.assign(sessions.repository, { read: async () => undefined });
      for (let request = 0; request < 3; request++) await open('A'.repeat(43));
      jest.restoreAllMocks();
      expect(lines).toEqual([
        'error: the session store failed to read a session: connection lost; serving empty, read-only sessions until it is back',
        'log: the session store is back',
      ]);
    });
  });

  describe.each<[string, ServerSessionOptions]>([
    ['json', { serializer: 'json' }],
    ['msgpack', { serializer: 'msgpack' }],
    ['msgpack, encrypted', { serializer: 'msgpack', encryption: { keys: ['k'.repeat(32)] } }],
  ])('stored as %s', (_, options) => {
    beforeEach(() => start(options));

    it('brings back what JSON has no form for', async () => {
      const data = {
        at: new Date(0),
        map: new Map<unknown, unknown>([[1, { a: undefined }]]),
        tags: new Set([1n]),
        bytes: Uint8Array.from([0, 255]),
        buffer: Buffer.from('b'),
        list: [undefined, -0, Number.NaN],
      };
      expect(await sessions.read(await stored(data))).toEqual(data);
    });

    it('a request that only reads such values changes nothing', async () => {
      const session = await open(await stored({ at: new Date(0), map: new Map([[1, 2]]), bytes: Buffer.alloc(9) }));
      expect(Object.values(session)).toHaveLength(3);
      expect(session.modified).toBe(false);
    });

    it('a change inside a Map or a Buffer is a change', async () => {
      const session = await open(await stored({ map: new Map([[1, 2]]), bytes: Buffer.alloc(2) }));
      (session['map'] as Map<number, number>).set(3, 4);
      await session.save();
      (session['bytes'] as Buffer)[0] = 7;
      await session.save();
      expect(await sessions.read(session.sid)).toEqual({ map: new Map([[1, 2], [3, 4]]), bytes: Buffer.from([7, 0]) }); // prettier-ignore
    });
  });
});
