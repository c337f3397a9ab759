import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FlaskSessionsOptions, flaskSessions, type FormerSessions } from 'nestjs-server-session/interop';
import { UnreadableRecordError } from 'nestjs-server-session';
import { startMemcached, startRedis, type TestServer } from '../servers/index.js';
import { decodeFlaskRecord } from '../../lib/interop/flask-record.js';
import { FlaskServer } from './support/flask-server.js';
import { runPython } from './support/python.js';

const SECRET = 'the secret of the Flask application';
const TIMEOUT = 5_000;

/** What the application's route /rich puts into the session. */
const rich = {
  when: new Date('2026-01-02T03:04:05.678Z'),
  naive: new Date('2026-01-02T03:04:05Z'),
  tags: new Set(['a', 'b']),
  bytes: Uint8Array.of(0, 255),
  cart: [{ item: 'tea', count: 2 }, ['a', 'tuple']],
  user_id: 'user 7',
};

interface Scene {
  readonly config: Record<string, string | number | boolean>;
  readonly options: FlaskSessionsOptions;
}

describe('the records of Flask-Session itself', () => {
  let redis: TestServer;
  let memcached: TestServer;
  let dir: string;

  beforeAll(async () => {
    [redis, memcached] = await Promise.all([startRedis(), startMemcached()]);
    dir = await mkdtemp(join(tmpdir(), 'flask-sessions-'));
  });

  afterAll(async () => {
    await Promise.all([redis?.stop(), memcached?.stop(), rm(dir, { recursive: true, force: true })]);
  });

  const scenes: Record<string, () => Scene> = {
    redis: () => ({ config: { SESSION_TYPE: 'redis', SESSION_REDIS: redis.url }, options: { redis: { url: redis.url } } }),
    filesystem: () => ({ config: { SESSION_TYPE: 'filesystem', SESSION_FILE_DIR: dir }, options: { filesystem: { dir } } }),
    memcached: () => ({
      config: { SESSION_TYPE: 'memcached', SESSION_MEMCACHED: addressOf(memcached) },
      options: { memcached: { servers: addressOf(memcached) } },
    }),
  };

  for (const [name, scene] of Object.entries(scenes))
    describe(`in ${name}`, () => {
      let flask: FlaskServer;
      let signing: FlaskServer;
      let plain: FormerSessions;
      let signed: FormerSessions;

      beforeAll(async () => {
        const { config, options } = scene();
        const signer = { SESSION_USE_SIGNER: true, SECRET_KEY: SECRET, SESSION_KEY_PREFIX: 'signed:' };
        [flask, signing] = await Promise.all([
          FlaskServer.start({ ...config, SECRET_KEY: SECRET }),
          FlaskServer.start({ ...config, ...signer, PERMANENT_SESSION_LIFETIME: 3600 }),
        ]);
        plain = flaskSessions({ ...options, principal: ({ user_id }) => user_id as string });
        signed = flaskSessions({ ...options, keyPrefix: 'signed:', useSigner: true, secret: ['a newer secret', SECRET] });
        await Promise.all([plain.open?.(TIMEOUT), signed.open?.(TIMEOUT)]);
      });

      afterAll(async () => {
        await Promise.all([plain?.close?.(), signed?.close?.(), flask?.stop(), signing?.stop()]);
      });

      it('are read with dates, sets, bytes and a principal', async () => {
        const [id] = plain.identify([await visit(flask, '/rich')]);
        expect(await plain.read(id!.id)).toMatchObject({ data: rich, principal: 'user 7', permanent: true });
      });

      it('say how long they live, where the store tells', async () => {
        const [id] = signed.identify([await visit(signing, '/set/')]);
        const { remaining = 3_600_000 } = (await signed.read(id!.id)) ?? { remaining: 0 };
        expect(remaining).toBeGreaterThan(3_500_000);
        expect(remaining).toBeLessThanOrEqual(3_601_000);
      });

      it('are found by a signed cookie only where cookies are signed', async () => {
        const cookie = await visit(signing, '/set/');
        const [id] = signed.identify([cookie]);
        expect(await signed.read(id!.id)).toMatchObject({ data: { key: 'value' } });
        const [sid] = cookie.split('.');
        const forged = [sid!, `${sid}.${'A'.repeat(27)}`, `${sid}x.${cookie.split('.')[1]}`, `${cookie}A`, '', '.', `.${cookie}`];
        expect(signed.identify(forged)).toEqual([]);
      });

      it('are gone for Flask once they have been ended', async () => {
        const cookie = await visit(flask, '/set/');
        const [id] = plain.identify([cookie]);
        await plain.end(id!.id);
        expect(await plain.read(id!.id)).toBeUndefined();
        const response = await fetch(`${flask.url}/get/`, { headers: { cookie: `session=${cookie}` } });
        expect(await response.text()).toBe('not set');
      });

      it('that hold an object of a class are refused, and those of an unknown id are none', async () => {
        const [id] = plain.identify([await visit(flask, '/object')]);
        await expect(plain.read(id!.id)).rejects.toThrow(/a stored session cannot be read: .* refers to the class or callable/);
        expect(await plain.read('no-such-session-here')).toBeUndefined();
      });
    });
});

// Python's packages are Debian's here, and Debian has version 0.3.2. These records are made with the calls that 0.7 and 0.8 make, on
// msgpack in place of msgspec, which writes the same bytes for these types.
describe('the records of Flask-Session 0.7 and later', () => {
  const PROGRAM = `
import base64, datetime, json, msgpack

data = {'_permanent': True, 'user_id': 'user 7', 'count': 2**40, 'neg': -5, 'float': 1.5, 'none': None, 'big': 2**63, 'text': '\\u20ac' * 50,
        'cart': [{'item': 'tea', 'count': 2}], 'numbers': list(range(40)), 'many': {str(n): n for n in range(20)}, 'yes': True,
        '__proto__': {'polluted': True}}
binary = {**data, 'bytes': b'\\x00\\xff', 'much': b'x' * 300, 'when': datetime.datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=datetime.timezone.utc),
          'whole': datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc), 'early': datetime.datetime(1900, 1, 2, tzinfo=datetime.timezone.utc),
          'by_number': {1: 'a'}}
encoded = [msgpack.packb(binary, datetime=True), json.dumps(data, separators=(',', ':')).encode()]
print(json.dumps([base64.b64encode(one).decode() for one in encoded]))
`;
  const data = {
    _permanent: true,
    user_id: 'user 7',
    count: 2 ** 40,
    neg: -5,
    float: 1.5,
    none: null,
    text: '€'.repeat(50),
    cart: [{ item: 'tea', count: 2 }],
    numbers: Array.from({ length: 40 }, (_unused, index) => index),
    many: Object.fromEntries(Array.from({ length: 20 }, (_unused, index) => [String(index), index])),
    yes: true,
    ['__proto__']: { polluted: true },
  };
  let msgpack: Buffer;
  let json: Buffer;

  beforeAll(async () => {
    const encoded = await runPython<[string, string]>(PROGRAM, ['msgpack']);
    [msgpack, json] = encoded.map((text) => Buffer.from(text, 'base64')) as [Buffer, Buffer];
  });

  it('are read from MessagePack, with dates and bytes', () => {
    expect(decodeFlaskRecord(msgpack)).toEqual({
      ...data,
      ['__proto__']: { polluted: true },
      big: 2n ** 63n,
      bytes: Uint8Array.of(0, 255),
      much: new Uint8Array(300).fill(120),
      when: new Date('2026-01-02T03:04:05.678Z'),
      whole: new Date('2026-01-02T00:00:00Z'),
      early: new Date('1900-01-02T00:00:00Z'),
      by_number: new Map([[1, 'a']]),
    });
  });

  it('are read from JSON', () => {
    expect(decodeFlaskRecord(json)).toEqual({ ...data, ['__proto__']: { polluted: true }, big: 2 ** 63 });
  });

  it('are refused where they are damaged, and pollute nothing', () => {
    for (const bytes of [msgpack, json]) {
      const beginnings = Array.from({ length: bytes.length }, (_unused, length) => bytes.subarray(0, length));
      expect(beginnings.every(isRefused)).toBe(true);
      expect(isRefused(Buffer.concat([bytes, Buffer.from([1])]))).toBe(true);
    }
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });
});

describe('decodeFlaskRecord', () => {
  for (const [title, bytes] of Object.entries<Uint8Array>({
    nothing: new Uint8Array(0),
    'a string': Buffer.from('hello'),
    'a JSON list': Buffer.from('[1]'),
    'a MessagePack list': Uint8Array.of(0x91, 1),
    'a dictionary with numbers for keys': Uint8Array.of(0x81, 1, 1),
    'an extension of MessagePack': Uint8Array.of(0x81, 0xa1, 0x61, 0xd4, 5, 0),
    'a type that MessagePack does not have': Uint8Array.of(0x81, 0xa1, 0x61, 0xc1),
    'MessagePack that is nested too deeply': new Uint8Array([...Array.from({ length: 200 }, () => [0x81, 0xa1, 0x61]).flat(), 1]),
    'a length that is not there': Uint8Array.of(0x81, 0xa1, 0x61, 0xdd, 0xff, 0xff, 0xff, 0xff),
    'more than a megabyte': Buffer.from(`{"a":"${'x'.repeat(1024 * 1024)}"}`),
  }))
    it(`refuses ${title}`, () => {
      expect(() => decodeFlaskRecord(bytes)).toThrow(UnreadableRecordError);
    });

  it('says nothing of the content', () => {
    for (const text of ['{"password": tea', '\x80\x04\x8c\x05passwtea.', 'Itea\n.'])
      expect(() => decodeFlaskRecord(Buffer.from(text, 'latin1'))).not.toThrow(/tea/);
  });
});

describe('a file of cachelib', () => {
  const HEADER = 4;
  let dir: string;
  let sessions: FormerSessions;

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'flask-files-'));
    sessions = flaskSessions({ filesystem: { dir } });
    await sessions.open?.(TIMEOUT);
  });

  afterAll(() => rm(dir, { recursive: true, force: true }));

  const read = async (expiry: number, content: string | Buffer): Promise<unknown> => {
    const header = Buffer.alloc(HEADER);
    header.writeUInt32LE(expiry);
    // The MD5 of `session:0123456789abcdef`.
    await writeFile(join(dir, '1efabfdcf75eb3d9ecb7c784603ef5e3'), Buffer.concat([header, Buffer.from(content)]));
    return sessions.read('0123456789abcdef');
  };

  it('is found by the MD5 of its key', async () => {
    const inAnHour = Math.floor(Date.now() / 1000) + 3600;
    expect(await read(inAnHour, '{"a": 1}')).toMatchObject({ data: { a: 1 }, remaining: expect.any(Number) });
    expect(await read(0, '{"a": 1}')).toMatchObject({ data: { a: 1 }, remaining: undefined });
  });

  it('is none once it has expired', async () => {
    expect(await read(Math.floor(Date.now() / 1000) - 2, '{"a": 1}')).toBeUndefined();
  });

  it('is refused where it is cut off or huge', async () => {
    await expect(read(0, '')).rejects.toThrow(UnreadableRecordError);
    await expect(read(0, Buffer.alloc(3 * 1024 * 1024))).rejects.toThrow(UnreadableRecordError);
  });
});

/** @returns the value of the session cookie. */
async function visit(flask: FlaskServer, path: string): Promise<string> {
  const response = await fetch(flask.url + path);
  expect(response.status).toBe(200);
  const [, value] = /^session=([^;]+)/.exec(response.headers.getSetCookie()[0] ?? '') ?? [];
  return value ?? '';
}

function addressOf({ host, port }: TestServer): string {
  return `${host}:${port}`;
}

function isRefused(bytes: Uint8Array): boolean {
  try {
    decodeFlaskRecord(bytes);
    return false;
  } catch (error) {
    return error instanceof UnreadableRecordError;
  }
}
