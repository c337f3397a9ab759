import { types } from 'node:util';
import { toBuffer } from './record.codec.js';

/**
 * What a form of serialization (JSON, MessagePack) can hold by itself. What it cannot is written as `{"$type": <name>, "value": …}`; see
 * `TagEncoder`.
 */
export interface ValueForm {
  /** Binary data as a value of the form. */
  readonly writeBytes: (bytes: Buffer) => unknown;
  /** @returns the data that `writeBytes` was given; undefined for what is not such a value. */
  readonly readBytes: (value: unknown) => Buffer | undefined;
  /** Whether a string comes back as it was; without this member every string does. */
  readonly holdsString?: (text: string) => boolean;
  /** Whether an object with this key comes back as it was; without this member every one does. */
  readonly holdsKey?: (key: string) => boolean;
}

/**
 * The key that marks a tag. A plain object of the application that has a key of this name is wrapped in a tag itself, so
 * that it comes back as what it was.
 */
export const TAG = '$type';

interface Tagged {
  [TAG]: string;
  value: unknown;
}

/** Sets a key as plain data. An assignment would set the prototype where the key is `__proto__`. */
export function put(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key === '__proto__') Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
  else object[key] = value;
}

/**
 * How deep stored values may be nested, counted in what is written: a list or an object is one level, a Map three. Well
 * above what people store, well below where recursion ends. Writing and reading know the same bound, so what was read can
 * be written again.
 */
export const MAX_NESTING = 256;

/** @throws RangeError past the bound: above all for a value that contains itself. */
function assertNesting(depth: number): void {
  if (depth > MAX_NESTING) throw new RangeError(`it contains itself or is nested too deeply (more than ${MAX_NESTING} levels)`);
}

/** Objects whose content cannot be seen: they would be stored as `{}`, without a word. */
const OPAQUE: readonly (readonly [name: string, is: (value: unknown) => boolean])[] = [
  ['a Promise (is an await missing?)', types.isPromise],
  ['an Error', types.isNativeError],
  ['a RegExp', types.isRegExp],
  ['a WeakMap', types.isWeakMap],
  ['a WeakSet', types.isWeakSet],
  ['a SharedArrayBuffer', types.isSharedArrayBuffer],
];

/**
 * Replaces what a form lacks by tags, and leaves everything else as it is: plain data is not copied.
 *
 * As with `JSON.stringify`, `toJSON()` is asked first, functions and symbols are left out (`null` in a list), and an instance
 * of a class becomes a plain object.
 */
export class TagEncoder {
  constructor(private readonly form: ValueForm) {}

  /**
   * @param depth the level that a container here would be on.
   * @returns undefined for what is not kept: `undefined`, functions, symbols.
   * @throws RangeError for a value that contains itself, TypeError for one whose content cannot be stored.
   */
  encode(value: unknown, depth = 1): unknown {
    switch (typeof value) {
      case 'object':
        return value === null ? null : this.encodeObject(value, depth);
      case 'string':
        return this.encodeString(value, depth);
      case 'number':
        if (Number.isFinite(value) && !Object.is(value, -0)) return value;
        return tag('Number', Object.is(value, -0) ? '-0' : String(value), depth);
      case 'bigint':
        // Hexadecimal, because reading decimal digits takes longer than linear time.
        return tag('BigInt', value.toString(16), depth);
      case 'boolean':
        return value;
      default:
        return undefined;
    }
  }

  private encodeString(text: string, depth: number): unknown {
    if (this.form.holdsString?.(text) ?? true) return text;
    return tag('String', this.form.writeBytes(Buffer.from(text, 'utf16le')), depth);
  }

  private encodeObject(value: object, depth: number): unknown {
    assertNesting(depth);
    if (Array.isArray(value)) return this.encodeArray(value, depth);
    if (isPlain(value)) return this.encodeProperties(value, depth);
    if (types.isDate(value)) return tag('Date', Number.isNaN(value.getTime()) ? null : value.toISOString(), depth);
    if (types.isMap(value)) return tag('Map', this.encodePairs(value, depth + 1), depth);
    if (types.isSet(value)) return tag('Set', this.encodeArray([...value], depth + 1), depth);
    const binary = fromBinary(value);
    if (binary !== undefined) return tag(binary.name, this.form.writeBytes(binary.bytes), depth);
    if (types.isBoxedPrimitive(value)) return this.encode(value.valueOf(), depth);
    // One level further down, for a toJSON() that returns its own object.
    if (hasToJson(value)) return this.encode(value.toJSON(), depth + 1);
    const opaque = OPAQUE.find(([, is]) => is(value));
    if (opaque !== undefined) throw new TypeError(`it holds ${opaque[0]}`);
    return this.encodeProperties(value as Record<string, unknown>, depth);
  }

  private encodeArray(items: readonly unknown[], depth: number): unknown[] {
    assertNesting(depth);
    let copy: unknown[] | undefined;
    for (let index = 0; index < items.length; index++) {
      const encoded = this.encodeItem(items[index], depth + 1);
      if (encoded !== items[index]) copy ??= items.slice();
      if (copy) copy[index] = encoded;
    }
    return copy ?? (items as unknown[]);
  }

  /** An item of a list, where `undefined` has a place that must not be lost. */
  private encodeItem(item: unknown, depth: number): unknown {
    return item === undefined ? tag('undefined', null, depth) : (this.encode(item, depth) ?? null);
  }

  private encodePairs(pairs: Iterable<readonly [unknown, unknown]>, depth: number): unknown[] {
    assertNesting(depth + 1);
    return Array.from(pairs, ([key, value]) => [this.encodeItem(key, depth + 2), this.encodeItem(value, depth + 2)]);
  }

  private encodeProperties(object: Record<string, unknown>, depth: number): unknown {
    const keys = Object.keys(object);
    const { holdsKey } = this.form;
    if (holdsKey !== undefined && !keys.every(holdsKey)) return this.encodeEntries(object, keys, depth);
    // Wrapped, its properties are one level further down.
    const isWrapped = Object.hasOwn(object, TAG);
    const level = isWrapped ? depth + 1 : depth;
    assertNesting(level);
    let copy: Record<string, unknown> | undefined;
    for (let index = 0; index < keys.length; index++) {
      const key = keys[index]!;
      const value = object[key];
      const encoded = this.encode(value, level + 1);
      if (encoded !== value || encoded === undefined) copy ??= copyOf(object, keys.slice(0, index));
      if (copy !== undefined && encoded !== undefined) put(copy, key, encoded);
    }
    return isWrapped ? tag('Object', copy ?? object, depth) : (copy ?? object);
  }

  /** For an object with keys that the form does not hold. */
  private encodeEntries(object: Record<string, unknown>, keys: readonly string[], depth: number): unknown {
    const kept = keys.map((key) => [key, object[key]] as const).filter(([, value]) => isKept(value));
    return tag('Entries', this.encodePairs(kept, depth + 1), depth);
  }
}

function tag(type: string, value: unknown, depth: number): Tagged {
  assertNesting(depth);
  return { [TAG]: type, value };
}

function copyOf(object: Record<string, unknown>, keys: readonly string[]): Record<string, unknown> {
  const copy: Record<string, unknown> = {};
  for (const key of keys) put(copy, key, object[key]);
  return copy;
}

function isPlain(value: object): value is Record<string, unknown> {
  const prototype: unknown = Object.getPrototypeOf(value);
  return (prototype === Object.prototype || prototype === null) && !hasToJson(value);
}

function hasToJson(value: object): value is { toJSON(): unknown } {
  return 'toJSON' in value && typeof value.toJSON === 'function';
}

function isKept(value: unknown): boolean {
  return value !== undefined && typeof value !== 'function' && typeof value !== 'symbol';
}

const NUMBERS: ReadonlyMap<unknown, number> = new Map([
  ['-0', -0],
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
]);

/** Replaces tags by what they stand for. No more than the types below ever come from a store: no classes, no functions. */
export class TagDecoder {
  constructor(private readonly form: ValueForm) {}

  /**
   * The value that `TagEncoder` was given. Works in place: the argument comes fresh from a parser.
   *
   * @param depth the level that a container here is on.
   * @throws TypeError for a tag that `TagEncoder` does not write, RangeError for what is nested too deeply.
   */
  decode(value: unknown, depth = 1): unknown {
    if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
    assertNesting(depth);
    if (Array.isArray(value)) return this.decodeArray(value, depth);
    return Object.hasOwn(value, TAG)
      ? this.decodeTag(value as Tagged, depth + 1)
      : this.decodeProperties(value as Record<string, unknown>, depth);
  }

  private decodeArray(items: unknown[], depth: number): unknown[] {
    for (let index = 0; index < items.length; index++) items[index] = this.decode(items[index], depth + 1);
    return items;
  }

  private decodeProperties(object: Record<string, unknown>, depth: number): Record<string, unknown> {
    for (const key of Object.keys(object)) {
      const decoded = this.decode(object[key], depth + 1);
      if (decoded !== object[key]) put(object, key, decoded);
    }
    return object;
  }

  private decodeTag({ [TAG]: type, value }: Tagged, depth: number): unknown {
    switch (type) {
      case 'undefined':
        return undefined;
      case 'Date':
        return value === null ? new Date(Number.NaN) : new Date(stringOf(type, value));
      case 'BigInt':
        return bigIntOf(stringOf(type, value));
      case 'Number':
        return NUMBERS.get(value) ?? fail(type);
      case 'String':
        return this.bytesOf(type, value).toString('utf16le');
      case 'Map':
        return new Map(this.pairsOf(type, value, depth));
      case 'Set':
        return new Set(this.decodeArray(listOf(type, value), depth));
      case 'Object':
        return this.decodeProperties(objectOf(type, value), depth);
      case 'Entries':
        return this.objectFrom(this.pairsOf(type, value, depth));
      default:
        return BINARY.has(type) ? toBinary(type, this.bytesOf(type, value)) : fail(type);
    }
  }

  private pairsOf(type: string, value: unknown, depth: number): [unknown, unknown][] {
    return listOf(type, value).map((pair) => {
      const [key, item, ...others] = listOf(type, pair);
      return others.length === 0 ? [this.decode(key, depth + 2), this.decode(item, depth + 2)] : fail(type);
    });
  }

  private objectFrom(pairs: readonly [unknown, unknown][]): Record<string, unknown> {
    const object: Record<string, unknown> = {};
    for (const [key, item] of pairs) put(object, stringOf('Entries', key), item);
    return object;
  }

  private bytesOf(type: string, value: unknown): Buffer {
    return this.form.readBytes(value) ?? fail(type);
  }
}

function bigIntOf(text: string): bigint {
  const [, sign, digits] = /^(-?)([\da-f]+)$/.exec(text) ?? fail('BigInt');
  const magnitude = BigInt(`0x${digits}`);
  return sign === '-' ? -magnitude : magnitude;
}

function stringOf(type: string, value: unknown): string {
  return typeof value === 'string' ? value : fail(type);
}

function listOf(type: string, value: unknown): unknown[] {
  return Array.isArray(value) ? value : fail(type);
}

function objectOf(type: string, value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value)
    ? (value as Record<string, unknown>)
    : fail(type);
}

/** The type may be anything, so it is shown only where it is one of ours. */
function fail(type: unknown): never {
  throw new TypeError(`it holds a malformed value${typeof type === 'string' && /^\w{1,20}$/.test(type) ? ` of the type '${type}'` : ''}`);
}

type FromMemory = new (memory: ArrayBuffer) => ArrayBufferView;

/** Those that are a view of memory of their own, aligned to the size of their items. */
const VIEWS: readonly FromMemory[] = [
  Uint8Array,
  Uint8ClampedArray,
  Int8Array,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
  DataView,
];

/** How binary values are made from memory of their own, by name. */
const BINARY: ReadonlyMap<string, (memory: ArrayBuffer) => unknown> = new Map([
  ['ArrayBuffer', (memory) => memory],
  ['Buffer', (memory) => Buffer.from(memory)],
  ...VIEWS.map((View) => [View.name, (memory: ArrayBuffer): unknown => new View(memory)] as const),
]);

/**
 * @returns the name and the bytes of a binary value, undefined for any other.
 * @throws TypeError for one that `toBinary` could not restore.
 */
function fromBinary(value: object): { name: string; bytes: Buffer } | undefined {
  if (ArrayBuffer.isView(value)) {
    const name = Buffer.isBuffer(value) ? 'Buffer' : value.constructor.name;
    if (!BINARY.has(name)) throw new TypeError(`it holds a ${name}`);
    return { name, bytes: toBuffer(value) };
  }
  if (types.isArrayBuffer(value)) return { name: 'ArrayBuffer', bytes: Buffer.from(value) };
  return undefined;
}

/**
 * @returns the binary value of this name, undefined where there is no such name.
 * @throws RangeError for a number of bytes that such a value cannot have.
 */
function toBinary(name: string, bytes: Buffer): unknown {
  return BINARY.get(name)?.(Uint8Array.from(bytes).buffer);
}
