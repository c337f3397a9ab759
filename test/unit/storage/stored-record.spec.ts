import { beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { UnreadableRecordError } from '../../../lib/errors.js';
import { JsonSerializer } from '../../../lib/storage/serializers.js';
import { AesGcmCipher } from '../../../lib/storage/record.cipher.js';
import { createSerializers } from '../../../lib/storage/serializers.js';
import { SerializerRegistry } from '../../../lib/storage/serializers.js';
import { toBuffer } from '../../../lib/storage/record.codec.js';
import { SessionSerializer } from '../../../lib/storage/serializers.js';
import { assertSize, type RecordContent, type SessionContent, RecordCodec } from '../../../lib/storage/record.codec.js';
import { FUZZ_RUNS, growth, LINEAR, SIZES } from '../../support/fuzz.js';
import { storedValues } from '../../support/stored-values.js';

const KEY = 'first key of at least 32 characters.';
const OTHER_KEY = Buffer.alloc(32, 'other');

const plain = new RecordCodec();
const sealed = new RecordCodec({ cipher: new AesGcmCipher([KEY]) });

const CODECS: [string, RecordCodec][] = [
  ['plain', plain],
  ['encrypted', sealed],
];

const content = (fields: Record<string, string> = { '.cart': '["tea"]' }, others: Partial<SessionContent> = {}): SessionContent => ({
  kind: 'session',
  createdAt: 1,
  accessedAt: 2,
  cookieAt: 3,
  serializer: 'json',
  fields: new Map(Object.entries(fields).map(([key, text]) => [key, Buffer.from(text)])),
  ...others,
});

const instants = fc.integer({ min: -8.64e15, max: 8.64e15 });

const contents: fc.Arbitrary<RecordContent> = fc.oneof(
  fc.record({
    kind: fc.constant('session' as const),
    createdAt: instants,
    accessedAt: instants,
    cookieAt: instants,
    deadline: fc.option(instants, { nil: undefined }),
    serializer: fc.string({ unit: 'binary' }),
    fields: fc
      .array(
        fc.tuple(
          fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('.__proto__', '__proto__', '.constructor', '\n', '\ud800')),
          fc.uint8Array().map((bytes) => Buffer.from(bytes)),
        ),
      )
      .map((fields) => new Map(fields)),
  }),
  fc.record({
    kind: fc.constant('retired' as const),
    to: fc.option(fc.stringMatching(/^[\w-]{1,128}$/), { nil: undefined }),
    until: instants,
  }),
);

/** Reads, or is an `UnreadableRecordError`; nothing else. */
function readsOrRefuses(codec: RecordCodec, bytes: Uint8Array): RecordContent | undefined {
  try {
    return codec.decode('handle', bytes);
  } catch (error) {
    if (error instanceof UnreadableRecordError) return undefined;
    throw error;
  }
}

describe.each(CODECS)('A stored record, %s,', (name, codec) => {
  it('is read as it was written, whatever it holds', () => {
    fc.assert(
      fc.property(contents, (written) => expect(codec.decode('handle', codec.encode('handle', written))).toEqual(written)),
      { numRuns: FUZZ_RUNS },
    );
  });

  it('is read, or refused as unreadable, whatever its bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void readsOrRefuses(codec, bytes)),
      { numRuns: FUZZ_RUNS },
    );
  });

  it('is refused, or still consistent, with some bits flipped', () => {
    fc.assert(
      fc.property(contents, fc.array(fc.record({ at: fc.nat(), bit: fc.nat(7) }), { minLength: 1, maxLength: 4 }), (written, flips) => {
        const bytes = codec.encode('handle', written);
        const original = Buffer.from(bytes);
        for (const { at, bit } of flips) bytes[at % bytes.length]! ^= 1 << bit;
        const read = readsOrRefuses(codec, bytes);
        expect(name === 'encrypted' && !original.equals(bytes) && read !== undefined).toBe(false);
      }),
      { numRuns: FUZZ_RUNS },
    );
  });

  it('is refused wherever it is cut off, and with anything after its end', () => {
    const bytes = Buffer.from(codec.encode('handle', content({ '.a': '1', '.b': '"two"' }, { deadline: 9 })));
    for (let length = 0; length < bytes.length; length++) expect(readsOrRefuses(codec, bytes.subarray(0, length))).toBeUndefined();
    expect(readsOrRefuses(codec, Buffer.concat([bytes, Buffer.from('x')]))).toBeUndefined();
    const retired = Buffer.from(codec.encode('handle', { kind: 'retired', until: 1 }));
    expect(readsOrRefuses(codec, Buffer.concat([retired, Buffer.from('x')]))).toBeUndefined();
  });

  it('is read from the middle of a larger piece of memory', () => {
    const bytes = codec.encode('handle', content());
    const larger = new Uint8Array(bytes.length + 20);
    larger.set(bytes, 7);
    expect(codec.decode('handle', larger.subarray(7, 7 + bytes.length))).toEqual(content());
  });

  it('takes time in proportion to its size', () => {
    const record = (size: number): Uint8Array => {
      const fields = Array.from({ length: size / 64 }, (_, index) => [`.k${index}`, Buffer.alloc(40)] as const);
      return codec.encode('handle', { ...content(), fields: new Map(fields) });
    };
    const bySize = new Map(SIZES.map((size) => [size, record(size)] as const));
    expect(growth((size) => void codec.decode('handle', bySize.get(size)!))).toBeLessThan(LINEAR);
  });
});

describe('The first line of a stored record', () => {
  it.each([
    ['null', 'null'],
    ['a list', '[]'],
    ['a number', '1'],
    ['a text', '"v"'],
    ['of a later format', '{"v":2,"s":"json","c":1,"a":1,"k":1,"f":[]}'],
    ['without a serializer', '{"v":1,"c":1,"a":1,"k":1,"f":[]}'],
    ['with an instant that is no number', '{"v":1,"s":"json","c":"1","a":1,"k":1,"f":[]}'],
    ['with an instant that no Date has', '{"v":1,"s":"json","c":1e999,"a":1,"k":1,"f":[]}'],
    ['with a deadline of null', '{"v":1,"s":"json","c":1,"a":1,"k":1,"d":null,"f":[]}'],
    ['without fields', '{"v":1,"s":"json","c":1,"a":1,"k":1}'],
    ['with fields of another shape', '{"v":1,"s":"json","c":1,"a":1,"k":1,"f":[".a"]}'],
    ['with a key twice', '{"v":1,"s":"json","c":1,"a":1,"k":1,"f":[[".a",0],[".a",0]]}'],
    ['with a length below 0', '{"v":1,"s":"json","c":1,"a":1,"k":1,"f":[[".a",1],[".b",-1]]}'],
    ['with half a length', '{"v":1,"s":"json","c":1,"a":1,"k":1,"f":[[".a",0.5]]}'],
    ['with a huge length', '{"v":1,"s":"json","c":1,"a":1,"k":1,"f":[[".a",9007199254740991]]}'],
    [
      'with lengths that add up past all numbers',
      `{"v":1,"s":"json","c":1,"a":1,"k":1,"f":[[".a",9007199254740991],[".b",9007199254740991]]}`,
    ],
    ['that leads to a path', '{"v":1,"until":1,"to":"../../etc/passwd"}'],
    ['that leads to an object', '{"v":1,"until":1,"to":{"a":1}}'],
    ['that ends at no time', '{"v":1,"until":null}'],
    ['that sets a prototype', '{"__proto__":{"v":1,"until":1}}'],
    ['that is no JSON', 'not JSON with a very-secret in it'],
  ])('%s: unreadable, and the message holds nothing of it', (_, line) => {
    const decode = (): unknown => plain.decode('handle', Buffer.from(`${line}\n`));
    expect(decode).toThrow(UnreadableRecordError);
    expect(decode).toThrow(/^(?!.*(very-secret|passwd))/);
  });
});

describe('An encrypted record', () => {
  const bytes = sealed.encode('handle', content({ '.card': '"4111-1111"' }));

  it('shows nothing of its content, and is another one each time', () => {
    expect(Buffer.from(bytes).includes('4111')).toBe(false);
    expect(Buffer.from(bytes).includes('card')).toBe(false);
    expect(sealed.encode('handle', content({ '.card': '"4111-1111"' }))).not.toEqual(bytes);
  });

  it('does not open under another handle', () => {
    expect(() => sealed.decode('handle2', bytes)).toThrow(/belongs to another session/);
  });

  it('does not open with another key', () => {
    const stranger = new RecordCodec({ cipher: new AesGcmCipher([OTHER_KEY]) });
    expect(() => stranger.decode('handle', bytes)).toThrow(/is not configured/);
  });

  it('opens with any of the keys, and is written with the first', () => {
    const rotated = new RecordCodec({ cipher: new AesGcmCipher([OTHER_KEY, KEY]) });
    const onlyNew = new RecordCodec({ cipher: new AesGcmCipher([OTHER_KEY]) });
    expect(rotated.decode('handle', bytes)).toMatchObject({ kind: 'session' });
    expect(onlyNew.decode('handle', rotated.encode('handle', content()))).toEqual(content());
    expect(() => sealed.decode('handle', rotated.encode('handle', content()))).toThrow(UnreadableRecordError);
  });

  it('is all that counts once encryption is on: a plain one is refused', () => {
    expect(() => sealed.decode('handle', plain.encode('handle', content()))).toThrow(/not encrypted/);
    expect(() => plain.decode('handle', bytes)).toThrow(UnreadableRecordError);
  });

  it('needs a key', () => expect(() => new AesGcmCipher([])).toThrow(/at least one key/));
});

describe('A deploy that changes the serializer', () => {
  let json: SerializerRegistry;
  let msgpack: SerializerRegistry;
  beforeAll(async () => {
    [json, msgpack] = await Promise.all([createSerializers('json'), createSerializers('msgpack')]);
  });

  const written = (by: SerializerRegistry, value: unknown): SessionContent =>
    content({}, { serializer: by.current.name, fields: new Map([['.key', toBuffer(by.current.serialize(value) ?? '')]]) });

  it.each(CODECS)('reads what the other one wrote, both ways, %s', (_, codec) => {
    fc.assert(
      fc.property(storedValues, fc.boolean(), (value, forth) => {
        const [from, to] = forth ? [json, msgpack] : [msgpack, json];
        const read = codec.decode('handle', codec.encode('handle', written(from, value)));
        expect(to.convert(read as SessionContent)).toEqual(written(to, value));
      }),
      { numRuns: FUZZ_RUNS },
    );
  });

  it('leaves a record in the form of the current one as it is', () => {
    const own = written(json, { a: 1 });
    expect(json.convert(own)).toBe(own);
  });

  it('starts a new session where a field cannot be converted, naming its key and nothing of its value', () => {
    const damaged = content({ '.token': '"very-secret' });
    expect(() => msgpack.convert(damaged)).toThrow(UnreadableRecordError);
    expect(() => msgpack.convert(damaged)).toThrow(/^(?!.*very-secret).*'token'/);
  });

  it('starts a new session where it does not know the former one', () => {
    expect(() => json.convert(content({}, { serializer: 'cbor' }))).toThrow(/'cbor', which is not configured/);
    expect(() => json.convert(content({}, { serializer: '__proto__' }))).toThrow(UnreadableRecordError);
  });

  it("reads what the built-in ones wrote under one of the user's own", async () => {
    class Upper extends SessionSerializer {
      override readonly name = 'upper';
      override serialize(value: unknown): string {
        return JSON.stringify(value).toUpperCase();
      }
      override deserialize(bytes: Buffer): unknown {
        return JSON.parse(bytes.toString());
      }
    }
    const own = await createSerializers(new Upper());
    expect(own.convert(written(msgpack, 'tea')).fields).toEqual(new Map([['.key', Buffer.from('"TEA"')]]));
    expect(own.convert(written(json, 'tea'))).toMatchObject({ serializer: 'upper' });
  });

  it('one that has the name of a built-in one replaces it', () => {
    const mine = new JsonSerializer();
    const registry = new SerializerRegistry(mine, [new JsonSerializer()]);
    const own = written(registry, 1);
    expect(registry.convert(own)).toBe(own);
  });
});

describe('The size of a session', () => {
  const size = (key: string, bytes: number): number => Buffer.byteLength(key) + bytes + 32;
  const check = (key: string, bytes: number, maxBytes: number): void => assertSize(new Map([[key, Buffer.alloc(bytes)]]), maxBytes);

  it.each([
    ['a long key', `.${'k'.repeat(5_000)}`, 1],
    ['a long value', '.k', 5_000],
    ['a key of several bytes a character', `.${'é'.repeat(500)}${'漢'.repeat(500)}`, 1],
    ['nothing', '.', 0],
  ])('counts %s to the byte', (_what, key, bytes) => {
    expect(() => check(key, bytes, size(key, bytes))).not.toThrow();
    expect(() => check(key, bytes, size(key, bytes) - 1)).toThrow(/bytes/);
  });

  it('counts many small fields together', () => {
    const fields = new Map(Array.from({ length: 10 }, (_unused, n) => [`.${n}`, Buffer.alloc(8)] as const));
    expect(() => assertSize(fields, 10 * size('.0', 8))).not.toThrow();
    expect(() => assertSize(fields, 10 * size('.0', 8) - 1)).toThrow(/bytes/);
  });
});
