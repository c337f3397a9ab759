import { types } from 'node:util';
import { fromBinary } from './binary-views.js';
import { assertNesting } from './nesting.js';
import { put, TAG, type Tagged, type ValueForm } from './value-form.js';

/** Objects whose content cannot be seen: they would be stored as `{}`, and nobody would notice. */
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
        return this.encodeText(value, depth);
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

  private encodeText(text: string, depth: number): unknown {
    if (this.form.holdsText?.(text) ?? true) return text;
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
