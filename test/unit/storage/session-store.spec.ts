import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { SessionEvents } from '../../../lib/storage/session-events.js';
import { InvalidSessionCursorError, type ServerSessionOptions, SessionStoreError } from 'nestjs-server-session';
import { inspect } from 'node:util';
import { resolveOptions } from '../../../lib/options/resolve-options.js';
import { MemorySessionRepository } from '../../../lib/repositories/memory/memory-session.repository.js';
import type { SessionRepository } from '../../../lib/repositories/session-repository.js';
import { AesGcmCipher, PrincipalNames } from '../../../lib/storage/record.cipher.js';
import { Attribute, RecordCodec, type SessionContent } from '../../../lib/storage/record.codec.js';
import { createSerializers } from '../../../lib/storage/serializers.js';
import { SessionTelemetry } from '../../../lib/telemetry/session-telemetry.js';
import { isSession, SessionStore, type StoredSession } from '../../../lib/storage/session-store.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const [KEY, OTHER_KEY] = ['first key of at least 32 characters.', 'second key of at least 32 characters'] as const;

const content = (fields: Record<string, unknown> = {}, others: Partial<SessionContent> = {}): SessionContent => ({
  kind: 'session',
  createdAt: Date.now(),
  accessedAt: Date.now(),
  cookieAt: Date.now(),
  serializer: 'json',
  fields: new Map(Object.entries(fields).map(([key, value]) => [key, Buffer.from(JSON.stringify(value))])),
  ...others,
});

describe('The session store', () => {
  let repository: MemorySessionRepository;
  let warnings: string[];
  beforeEach(() => {
    repository = new MemorySessionRepository();
    warnings = [];
    jest.spyOn(Logger.prototype, 'warn').mockImplementation((message: unknown) => void warnings.push(String(message)));
  });
  afterEach(() => void jest.restoreAllMocks());

  /** A process with these options over the same store. */
  async function start(given: ServerSessionOptions = {}, over: SessionRepository = repository, events = new SessionEvents()) {
    const options = resolveOptions({ type: 'memory', ...given });
    const cipher = options.encryption && new AesGcmCipher(options.encryption.keys, options.keyPrefix);
    const codec = new RecordCodec({ cipher, hashIds: options.hashIds });
    return new SessionStore(over, codec, await createSerializers(options.serializer), options, events, new SessionTelemetry());
  }

  async function sessionAt(store: SessionStore, handle: string): Promise<StoredSession<SessionContent>> {
    const found = await store.read(handle);
    if (!isSession(found)) throw new Error('there is no session');
    return found;
  }

  describe('holds stored sessions to an absoluteLifetime', () => {
    it.each<[string, number | undefined]>([
      ['introduced', undefined],
      ['shortened', Date.now() + 300 * DAY],
    ])('%s by a deploy', async (_, deadline) => {
      const before = await start();
      const createdAt = Date.now() - 2 * DAY;
      await before.create('young', content({}, { createdAt, deadline }));
      await before.create('old', content({}, { createdAt: Date.now() - 8 * DAY, deadline }));

      const after = await start({ absoluteLifetime: '7d' });
      const young = await sessionAt(after, 'young');
      expect(young.content.deadline).toBe(createdAt + 7 * DAY);
      expect(after.lifetimeOf(young.content)).toBeLessThanOrEqual(5 * DAY);
      expect(await after.read('old')).toBeUndefined();
      expect(await repository.read('old')).toBeUndefined();
    });

    it('and never lengthens what is stored', async () => {
      const deadline = Date.now() + HOUR;
      await (await start()).create('handle', content({}, { deadline }));
      expect((await sessionAt(await start({ absoluteLifetime: '7d' }), 'handle')).content.deadline).toBe(deadline);
      expect((await sessionAt(await start(), 'handle')).content.deadline).toBe(deadline);
    });

    it('also those of a process whose clock is ahead', async () => {
      const createdAt = Date.now() + DAY;
      await (await start()).create('handle', content({}, { createdAt, deadline: createdAt + HOUR }));
      const found = await sessionAt(await start({ absoluteLifetime: '1h' }), 'handle');
      expect(found.content.createdAt).toBeLessThanOrEqual(Date.now());
      expect(found.content.deadline).toBeLessThanOrEqual(Date.now() + HOUR);
    });
  });

  it('takes a cookie in the future for due, and lengthens nothing by a use in the future', async () => {
    const store = await start({ lifetime: '1h' });
    await store.create('handle', content({}, { accessedAt: Date.now() + DAY, cookieAt: Date.now() + DAY }));
    const found = await sessionAt(store, 'handle');
    expect(found.content.cookieAt).toBe(0);
    const expiry = store.expiryOf({ ...found, remaining: undefined });
    expect(expiry).toBeGreaterThan(Date.now() + HOUR - MINUTE);
    expect(expiry).toBeLessThanOrEqual(Date.now() + HOUR);
  });

  describe('gives a session the lifetime of its own', () => {
    it('within its absolute deadline', async () => {
      const store = await start({ lifetime: '1h' });
      expect(store.lifetimeOf(content())).toBe(HOUR);
      expect(store.lifetimeOf(content({ [Attribute.lifetime]: 30 * DAY }))).toBe(30 * DAY);
      expect(store.lifetimeOf(content({ [Attribute.lifetime]: MINUTE }))).toBe(MINUTE);
      expect(store.lifetimeOf(content({ [Attribute.lifetime]: 30 * DAY }, { deadline: Date.now() + DAY }))).toBeLessThanOrEqual(DAY);
      expect(store.lifetimeOf(content({ [Attribute.lifetime]: 1e300 }))).toBeLessThan(101 * 366 * DAY);
    });

    it.each(['30d', 0, -1, null, {}])('unless that is %j', async (lifetime) => {
      const store = await start({ lifetime: '1h' });
      expect(store.lifetimeOf(content({ [Attribute.lifetime]: lifetime }))).toBe(HOUR);
    });

    it('and tells its end and last use by it', async () => {
      const store = await start({ lifetime: '1h' });
      const stored = { version: '1', content: content({ [Attribute.lifetime]: 2 * DAY }, { accessedAt: Date.now() - DAY }) };
      expect(store.expiryOf(stored)).toBe(stored.content.accessedAt + 2 * DAY);
      expect(store.lastUseOf({ ...stored, remaining: 2 * DAY - MINUTE })).toBeGreaterThan(Date.now() - 2 * MINUTE);
    });
  });

  describe('reads no principal but', () => {
    it.each<[unknown, string | undefined]>([
      ['ada', 'ada'],
      ['', undefined],
      ['a\0b', undefined],
      ['x'.repeat(513), undefined],
      [0, undefined],
      [{ $ne: null }, undefined],
    ])('%j as %j', async (principal, expected) => {
      const store = await start();
      expect(store.principalOf(content({ [Attribute.principal]: principal }))).toBe(expected);
      await store.create('handle', content({ [Attribute.principal]: principal }));
      expect((await repository.read('handle'))?.principal).toBe(expected);
    });
  });

  it.each<unknown>([{ $ne: null }, 0, '', ['ada'], 'a\0', null])(
    'lists and counts nothing for a principal that is %j',
    async (principal) => {
      const store = await start();
      await expect(store.list(repository, { principal: principal as string, limit: 5 })).rejects.toThrow(TypeError);
      await expect(store.count(repository, principal as string, 1000)).rejects.toThrow(TypeError);
    },
  );

  it.each<unknown>([5, {}, ['a'], '', 'a b', 'x'.repeat(300), `5@${'~x'.repeat(20_000)}`, null])(
    'lists nothing from a cursor that is %j',
    async (cursor) => {
      const store = await start();
      await expect(store.list(repository, { cursor: cursor as string, limit: 5 })).rejects.toThrow(InvalidSessionCursorError);
    },
  );

  it('lists from a cursor that names sessions, as those of Redis do', async () => {
    const store = await start();
    const list = jest.spyOn(repository, 'list').mockResolvedValue({ records: [] });
    const cursor = `17@127.0.0.1:6379${`~${'h'.repeat(43)}`.repeat(100)}`;
    await store.list(repository, { cursor, limit: 5 });
    expect(list).toHaveBeenCalledWith(expect.objectContaining({ cursor }));
  });

  describe('with encryption', () => {
    const encrypted = (...keys: string[]): ServerSessionOptions => ({ encryption: { keys } });

    it('finds the sessions of a principal after a rotation of keys, and those of version 0.1.0', async () => {
      const [former, now] = [await start(encrypted(KEY)), await start(encrypted(OTHER_KEY, KEY))];
      const ada = content({ [Attribute.principal]: 'ada' });
      await former.create('former', ada);
      await now.create('now', ada);
      const cipher = new AesGcmCipher([KEY], 'session:');
      const payload = new RecordCodec({ cipher }).encode('first', ada);
      await repository.create('first', { payload, principal: new PrincipalNames([KEY]).of('ada').at(-1) }, HOUR);

      expect(await now.count(repository, 'ada', 1000)).toBe(3);
      for (const limit of [1, 2, 10]) {
        const handles: string[] = [];
        let cursor: string | undefined;
        do {
          const page = await now.list(repository, { principal: 'ada', cursor, limit });
          expect(page.records.length).toBeLessThanOrEqual(limit);
          handles.push(...page.records.map(({ handle }) => handle));
          cursor = page.cursor;
        } while (cursor !== undefined);
        expect(handles.sort()).toEqual(['first', 'former', 'now']);
      }
      expect((await now.list(repository, { principal: 'ada', limit: 10 })).cursor).toBeUndefined();
      expect(await now.count(repository, 'bob', 1000)).toBe(0);
    });

    it.each(['9.x', 'x', '-1.', '3.'])('refuses the cursor %j', async (cursor) => {
      const store = await start(encrypted(KEY));
      await expect(store.list(repository, { principal: 'ada', cursor, limit: 5 })).rejects.toThrow(InvalidSessionCursorError);
    });

    it('opens no record of another keyPrefix', async () => {
      await (await start({ ...encrypted(KEY), keyPrefix: 'a:' })).create('handle', content());
      expect(await (await start({ ...encrypted(KEY), keyPrefix: 'b:' })).find('handle')).toBeUndefined();
    });
  });

  describe('logs a record that cannot be read', () => {
    const damage = (handle: string, line: string): Promise<unknown> => repository.create(handle, { payload: Buffer.from(line) }, HOUR);

    it('once for each cause, without what controls a terminal', async () => {
      const store = await start();
      await damage('a', 'damaged');
      await damage('b', `${JSON.stringify({ v: 1, s: '\u001b[31m\nforged line', c: 1, a: 1, k: 1, f: [] })}\n`);
      for (let request = 0; request < 50; request++) for (const handle of ['a', 'b']) expect(await store.find(handle)).toBeUndefined();
      expect(await store.peek('a')).toBeUndefined();
      expect(warnings).toHaveLength(2);
      expect(warnings[0]).toBe('a stored session cannot be read: its first line has no end; it counts as no session');
      expect(warnings[1]).toMatch(/serializer ' ?\[31m forged line', which is not configured/);
      expect(warnings.join('')).not.toMatch(/\p{Cc}/u);
    });

    it('in a bounded number of lines, whatever the records say', async () => {
      const store = await start();
      for (let index = 0; index < 200; index++) {
        await damage(`h${index}`, `${JSON.stringify({ v: 1, s: `serializer ${index}`, c: 1, a: 1, k: 1, f: [] })}\n`);
        await store.find(`h${index}`);
      }
      expect(warnings.length).toBeLessThanOrEqual(20);
    });

    it('again after a minute, with how often it came meanwhile', async () => {
      const store = await start();
      await damage('a', 'damaged');
      const now = jest.spyOn(performance, 'now').mockReturnValue(1000);
      for (let request = 0; request < 5; request++) await store.find('a');
      now.mockReturnValue(1000 + MINUTE);
      await store.find('a');
      expect(warnings).toHaveLength(2);
      expect(warnings[1]).toMatch(/it counts as no session \(and 4 more times since it was last logged\)$/);
    });
  });

  it.each(['create', 'read', 'update', 'delete'] as const)('has nothing of the session in its error when %s fails', async (method) => {
    const handle = 'short-handle';
    const value = { card: '4111-1111', pin: 'x9876' };
    const failing = new MemorySessionRepository();
    const fail = (...args: unknown[]): Promise<never> => {
      const message = `cannot ${method} ${inspect(args)} ${JSON.stringify(value)} of ada-lovelace`;
      return Promise.reject(Object.assign(new Error(message), { command: { args }, args }));
    };
    Object.defineProperty(failing, method, { value: fail });
    const store = await start({}, failing);
    const secret = content({ '.value': value, [Attribute.principal]: 'ada-lovelace' });
    const operations = {
      create: () => store.create(handle, secret),
      read: () => store.read(handle),
      update: () => store.update(handle, secret, '1'),
      delete: () => store.delete(handle),
    };
    const error: unknown = await operations[method]().catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(SessionStoreError);
    const shown = inspect(error, { depth: Infinity, showHidden: true }) + JSON.stringify(error);
    expect(shown).not.toContain('short-handle');
    // What was not given to the repository cannot be known from its message.
    if (method === 'create' || method === 'update') expect(shown).not.toMatch(/4111|x9876|lovelace/);
  });
});
