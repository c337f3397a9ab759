import { beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { isDeepStrictEqual } from 'node:util';
import { JsonSerializer } from '../../../lib/storage/serializers.js';
import { MsgpackSerializer } from '../../../lib/storage/serializers.js';
import { MAX_NESTING } from '../../../lib/storage/tagged-values.js';
import { toBuffer } from '../../../lib/storage/record.codec.js';
import type { SessionSerializer } from '../../../lib/storage/serializers.js';
import { FUZZ_RUNS, growth, LINEAR, SIZES } from '../../support/fuzz.js';
import { storedValues } from '../../support/stored-values.js';

function nested(levels: number): unknown {
  let value: unknown = 'bottom';
  for (let level = 0; level < levels; level++) value = level % 2 === 0 ? [value] : { value };
  return value;
}

function selfContaining(): unknown[] {
  const value: unknown[] = [];
  value.push({ value });
  return value;
}

class Money {
  readonly secret = 'cents';
  constructor(readonly amount: number) {}
  toJSON(): unknown {
    return { amount: this.amount, at: new Date(0) };
  }
}

class Point {
  constructor(
    readonly x: number,
    readonly label?: string,
  ) {}
  move(): void {}
}

describe.each(['json', 'msgpack'])("The serializer '%s'", (name) => {
  let serializer: SessionSerializer;
  beforeAll(async () => {
    serializer = name === 'json' ? new JsonSerializer() : await MsgpackSerializer.create();
  });

  const pack = (value: unknown): Buffer => {
    const serialized = serializer.serialize(value);
    if (serialized === undefined) throw new Error('nothing was serialized');
    return toBuffer(serialized);
  };
  const roundTrip = (value: unknown): unknown => serializer.deserialize(pack(value));

  it('has its name', () => expect(serializer.name).toBe(name));

  describe('brings back as what it was:', () => {
    it.each<[string, unknown]>([
      ['null', null],
      ['an empty text', ''],
      ['a text of any script', 'Zoë 😀 \u0000 "quoted" \\'],
      ['a text with half a surrogate pair', 'a\ud800b'],
      ['a long text with half a surrogate pair', `${'a'.repeat(200)}\udc00`],
      ['a double', 0.1 + 0.2],
      ['-0', -0],
      ['NaN', Number.NaN],
      ['Infinity', Number.POSITIVE_INFINITY],
      ['-Infinity', Number.NEGATIVE_INFINITY],
      ['a whole number past 32 bits', Number.MAX_SAFE_INTEGER],
      ['a BigInt', 12345678901234567890n],
      ['a negative BigInt of 500 bits', -(2n ** 500n)],
      ['a small BigInt', 0n],
      ['a Date', new Date('2026-07-01T12:34:56.789Z')],
      ['a Date before 1970', new Date(-1)],
      ['a Date at the end of time', new Date(8.64e15)],
      [
        'a Map with keys that are no text',
        new Map<unknown, unknown>([
          [1, 'one'],
          [{ a: 1 }, new Set([1n])],
          [undefined, undefined],
          ['1', 2],
        ]),
      ],
      ['a Set', new Set<unknown>(['a', 1, undefined, new Date(0)])],
      ['undefined in a list', [undefined, 1, undefined]],
      ['a Buffer', Buffer.from([0, 255])],
      ['a Uint8Array', Uint8Array.from([0, 255])],
      ['an ArrayBuffer', Uint8Array.from([1, 2, 3]).buffer],
      ['a DataView', new DataView(Uint8Array.from([1, 2, 3]).buffer)],
      ['an Int8Array', Int8Array.from([-1])],
      ['a Uint8ClampedArray', Uint8ClampedArray.from([255])],
      ['a Uint16Array', Uint16Array.from([1, 65535])],
      ['a Float32Array', Float32Array.from([0.5])],
      ['a Float64Array', Float64Array.from([0.1, Number.NaN])],
      ['a BigUint64Array', BigUint64Array.from([2n ** 64n - 1n])],
      ['an object with a key $type', { $type: 'Date', value: 'no date' }],
      ['keys $type at every depth', { $type: { $type: [{ $type: 'Map', value: { $type: null } }] } }],
      ['a tag in a Map', new Map([[{ $type: 'Set' }, { $type: 'undefined', value: null }]])],
      ['more keys than 16 bits count', Object.fromEntries(Array.from({ length: 70_000 }, (_, index) => [`k${index}`, 1]))],
    ])('%s', (_, value) => {
      expect(roundTrip(value)).toStrictEqual(value);
      expect(roundTrip({ in: [value] })).toStrictEqual({ in: [value] });
    });

    it('an invalid Date', () => {
      const [date] = roundTrip([new Date(Number.NaN)]) as [Date];
      expect(date).toBeInstanceOf(Date);
      expect(date.getTime()).toBeNaN();
    });

    it('whatever of these is nested in whatever else', () => {
      fc.assert(
        fc.property(storedValues, (value) => isDeepStrictEqual(roundTrip(value), value)),
        { numRuns: FUZZ_RUNS },
      );
    });
  });

  it('gives the same bytes for the same value, and again for what was read', () => {
    fc.assert(
      fc.property(storedValues, (value) => {
        const bytes = pack(value);
        expect(pack(value).equals(bytes)).toBe(true);
        expect(pack(serializer.deserialize(bytes)).equals(bytes)).toBe(true);
      }),
      { numRuns: FUZZ_RUNS },
    );
  });

  it('reads the same after others have failed', () => {
    const bytes = pack({ a: [1, 'two'] });
    expect(() => serializer.deserialize(bytes.subarray(0, 4))).toThrow();
    expect(() => serializer.serialize({ a: selfContaining() })).toThrow();
    expect(pack({ a: [1, 'two'] })).toEqual(bytes);
    expect(serializer.deserialize(bytes)).toEqual({ a: [1, 'two'] });
  });

  it('leaves what it serializes and what it reads unchanged', () => {
    const value = { at: new Date(0), list: [undefined, 1n], __proto__: null };
    const before = structuredClone(value);
    const bytes = pack(value);
    const copy = Buffer.from(bytes);
    const read = serializer.deserialize(bytes) as { list: unknown[] };
    read.list.push('changed');
    expect(value).toEqual(before);
    expect(bytes).toStrictEqual(copy);
  });

  it('hands out binary values with memory of their own', () => {
    const bytes = pack(Buffer.from('abc'));
    const first = serializer.deserialize(bytes) as Buffer;
    first.fill(0);
    expect(serializer.deserialize(bytes)).toEqual(Buffer.from('abc'));
  });

  describe('takes as JSON does', () => {
    it('toJSON()', () => expect(roundTrip([new Money(3)])).toEqual([{ amount: 3, at: new Date(0) }]));
    it('an instance of a class, as a plain object', () => expect(roundTrip(new Point(1))).toStrictEqual({ x: 1 }));
    it('an object without prototype', () => {
      const value = Object.assign(Object.create(null) as object, { a: 1, toJSON: 'text', at: new Date(0) });
      expect(roundTrip(value)).toStrictEqual({ a: 1, toJSON: 'text', at: new Date(0) });
    });
    it('boxed values', () => expect(roundTrip([Object(1), Object('a'), Object(true), Object(2n)])).toStrictEqual([1, 'a', true, 2n]));
    it('a sparse list, with undefined in the holes', () => {
      const sparse: unknown[] = [];
      sparse[2] = 'c';
      expect(roundTrip(sparse)).toStrictEqual([undefined, undefined, 'c']);
    });
    it('undefined, functions and symbols: left out of an object, null in a list', () => {
      const value = { a: 1, u: undefined, f: () => 1, s: Symbol('s'), list: [() => 1, Symbol('s')], [Symbol('key')]: 1 };
      expect(roundTrip(value)).toStrictEqual({ a: 1, list: [null, null] });
    });
    it.each([undefined, () => 1, Symbol('s')])('%p alone: nothing', (value) => expect(serializer.serialize(value)).toBeUndefined());
  });

  describe('refuses, and says what,', () => {
    it.each<[string, unknown, RegExp]>([
      ['what contains itself', selfContaining(), /contains itself or is nested too deeply/],
      ['a Map that contains itself', ((map) => map.set('self', map))(new Map<string, unknown>()), /contains itself/],
      [
        'a toJSON() that never ends',
        new (class {
          toJSON(): unknown {
            return this;
          }
        })(),
        /contains itself/,
      ],
      ['a Promise', { user: Promise.resolve(1) }, /a Promise \(is an await missing\?\)/],
      ['an Error', [new Error('secret')], /it holds an Error$/],
      ['a RegExp', /x/, /a RegExp/],
      ['a WeakMap', new WeakMap(), /a WeakMap/],
    ])('%s', (_, value, message) => expect(() => serializer.serialize(value)).toThrow(message));

    it('what is nested deeper than it would read', () => {
      expect(roundTrip(nested(MAX_NESTING))).toEqual(nested(MAX_NESTING));
      expect(() => serializer.serialize(nested(MAX_NESTING + 1))).toThrow(/nested too deeply/);
    });

    it.each([
      ['a Map', (): unknown => new Map([['key', 'value']])],
      ['a Set', (): unknown => new Set(['value'])],
      ['an object with a key that UTF-8 cannot hold', (): unknown => ({ '\ud800': 'value' })],
    ])('%s at the bound of nesting, unless it can be read again', (_what, make) => {
      const wrapped = (levels: number): unknown => {
        let value = make();
        for (let level = 0; level < levels; level++) value = [value];
        return value;
      };
      const outcomes = Array.from({ length: 8 }, (_unused, distance) => {
        const value = wrapped(MAX_NESTING - distance);
        try {
          pack(value);
        } catch (error) {
          expect(String(error)).toMatch(/nested too deeply/);
          return 'refused';
        }
        expect(roundTrip(value)).toEqual(value);
        return 'read';
      });
      expect(new Set(outcomes)).toEqual(new Set(['refused', 'read']));
    });
  });

  describe('given hostile bytes,', () => {
    it('throws or reads something that it can write again, whatever they are', () => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => readsSafely(Buffer.from(bytes))),
        { numRuns: FUZZ_RUNS },
      );
    });

    it('the same for valid ones with a few bytes changed or cut off', () => {
      const change = fc.record({ at: fc.nat(), to: fc.nat(255) });
      fc.assert(
        fc.property(storedValues, fc.array(change, { minLength: 1, maxLength: 3 }), fc.option(fc.nat()), (value, changes, length) => {
          const bytes = pack(value);
          for (const { at, to } of changes) bytes[at % bytes.length] = to;
          readsSafely(length === null ? bytes : bytes.subarray(0, length % bytes.length));
        }),
        { numRuns: FUZZ_RUNS },
      );
    });

    const readsSafely = (bytes: Buffer): void => {
      const prototypes = fingerprint();
      let value: unknown;
      try {
        value = serializer.deserialize(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
        return;
      } finally {
        expect(fingerprint()).toBe(prototypes);
      }
      expect(() => pack(value)).not.toThrow();
    };

    it('takes time in proportion to their number', () => {
      const value = (size: number): Buffer =>
        pack({ list: Array.from({ length: size / 32 }, (_, i) => ({ id: i, at: 2n ** 40n, s: 'é"\\' })) });
      const sizes = new Map(SIZES.map((size) => [size, value(size)] as const));
      expect(growth((size) => void serializer.deserialize(sizes.get(size)!))).toBeLessThan(LINEAR);
    });

    it('no memory is reserved for more than there is, and no error tells what they hold', () => {
      const secret = pack({ token: 'very-secret' });
      for (let length = 0; length < secret.length; length++) {
        expect(() => serializer.deserialize(secret.subarray(0, length))).toThrow(/^(?!.*very-secret)/);
      }
    });
  });
});

/** What pollution would change. */
function fingerprint(): string {
  return [Object.prototype, Array.prototype, Map.prototype].map((prototype) => Reflect.ownKeys(prototype).map(String).join()).join('|');
}

describe("The serializer 'json'", () => {
  const json = new JsonSerializer();

  it('does not copy plain data to look for what needs a tag', () => {
    let reads = 0;
    const value = {
      plain: {
        get counted() {
          reads++;
          return [1, 'a', true, null];
        },
      },
    };
    expect(json.serialize(value)).toBe('{"plain":{"counted":[1,"a",true,null]}}');
    expect(reads).toBe(2);
  });

  it.each([
    ['lists', '['.repeat(100_000) + ']'.repeat(100_000)],
    ['objects', `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`],
    ['tags', `${'{"$type":"Object","value":'.repeat(100_000)}1${'}'.repeat(100_000)}`],
  ])('refuses 100,000 %s in one another', (_, text) => {
    expect(() => json.deserialize(Buffer.from(text))).toThrow(/nested too deeply/);
  });

  it('is not misled by brackets and quotes in texts', () => {
    const value = ['[{'.repeat(1000), '"]\\'.repeat(1000), '\\'.repeat(999)];
    expect(json.deserialize(Buffer.from(json.serialize(value) ?? ''))).toEqual(value);
  });

  it.each([
    ['an unknown tag', '{"$type":"Function","value":"alert(1)"}'],
    ['a tag that is no text', '{"$type":{"a":1},"value":1}'],
    ['a BigInt of another form', '{"$type":"BigInt","value":"1_0"}'],
    ['a BigInt that is a number', '{"$type":"BigInt","value":1}'],
    ['a Number of another form', '{"$type":"Number","value":"1e999"}'],
    ['a Map of something else', '{"$type":"Map","value":{"a":1}}'],
    ['a Map of triples', '{"$type":"Map","value":[[1,2,3]]}'],
    ['an Object that is a list', '{"$type":"Object","value":[1]}'],
    ['a typed array with half an item', '{"$type":"Float64Array","value":"AAAA"}'],
    ['a name from the prototype', '{"$type":"__proto__","value":""}'],
  ])('refuses %s', (_, text) => expect(() => json.deserialize(Buffer.from(text))).toThrow());
});

describe("The serializer 'msgpack'", () => {
  let msgpack: MsgpackSerializer;
  beforeAll(async () => {
    msgpack = await MsgpackSerializer.create();
  });

  it('writes binary values as they are', () => {
    expect(toBuffer(msgpack.serialize(Buffer.alloc(1000)) ?? '').length).toBeLessThan(1050);
  });

  it.each<[string, number[]]>([
    ['nothing', []],
    ['a list that declares 4 billion items', [0xdd, 0xff, 0xff, 0xff, 0xff]],
    ['a map that declares 4 billion keys', [0xdf, 0xff, 0xff, 0xff, 0xff]],
    ['binary data that declares 4 GiB', [0xc6, 0xff, 0xff, 0xff, 0xff, 0x00]],
    ['a text that declares 4 GiB', [0xdb, 0xff, 0xff, 0xff, 0xff, 0x61]],
    ['an extension that declares 4 GiB', [0xc9, 0xff, 0xff, 0xff, 0xff, 0x42]],
    ['a regular expression', [0xd4, 0x78, 0x00, 0x92, 0xa1, 0x61, 0xa0]],
    ['an error', [0xd4, 0x65, 0x00, 0x93, 0xa5, 0x45, 0x72, 0x72, 0x6f, 0x72, 0xa1, 0x61, 0xc0]],
    ['a Set of msgpackr', [0xd4, 0x73, 0x00, 0x91, 0x01]],
    ['a definition of a record', [0xd4, 0x72, 0x40, 0x91, 0xa1, 0x61, 0x01]],
    ['a reference', [0xd6, 0x70, 0x00, 0x00, 0x00, 0x01]],
    ['a date of msgpackr', [0xd6, 0xff, 0x00, 0x00, 0x00, 0x00]],
    ['undefined of msgpackr', [0xd4, 0x00, 0x00]],
    ['the type that is never used', [0xc1]],
    ['a float of 32 bits', [0xca, 0, 0, 0, 0]],
    ['a key __proto__', [0x81, 0xa9, ...Buffer.from('__proto__'), 0x01]],
    ['a map in place of a key', [0x81, 0x80, 0x01]],
    ['a key that is no text', [0x81, 0x01, 0x01]],
    ['a text that breaks off in a character', [0x92, 0xa1, 0xe2, 0xd4, 0x78, 0x00]],
    ['more than one value', [0x01, 0x02]],
    ['100,000 lists in one another', Array.from({ length: 100_000 }, () => 0x91)],
    ['lists in one another that declare more than there is', Array.from({ length: 200 }, () => [0xdc, 0xff, 0xff]).flat()],
    ['a Map of something else', [0x82, 0xa5, ...Buffer.from('$type'), 0xa3, ...Buffer.from('Map'), 0xa5, ...Buffer.from('value'), 0x01]],
  ])('refuses %s', (_, bytes) => expect(() => msgpack.deserialize(Buffer.from(bytes))).toThrow());
});
