import { isBinaryName, toBinary } from './binary-views.js';
import { put, TAG, type Tagged, type ValueForm } from './value-form.js';

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
   * The value that `TagEncoder` was given. Works in place: the argument comes fresh from a parser, which also bounds its
   * nesting.
   *
   * @throws TypeError for a tag that `TagEncoder` does not write.
   */
  decode(value: unknown): unknown {
    if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
    if (Array.isArray(value)) return this.decodeArray(value);
    return Object.hasOwn(value, TAG) ? this.decodeTag(value as Tagged) : this.decodeProperties(value as Record<string, unknown>);
  }

  private decodeArray(items: unknown[]): unknown[] {
    for (let index = 0; index < items.length; index++) items[index] = this.decode(items[index]);
    return items;
  }

  private decodeProperties(object: Record<string, unknown>): Record<string, unknown> {
    for (const key of Object.keys(object)) {
      const decoded = this.decode(object[key]);
      if (decoded !== object[key]) put(object, key, decoded);
    }
    return object;
  }

  private decodeTag({ [TAG]: type, value }: Tagged): unknown {
    switch (type) {
      case 'undefined':
        return undefined;
      case 'Date':
        return value === null ? new Date(Number.NaN) : new Date(textOf(type, value));
      case 'BigInt':
        return bigIntOf(textOf(type, value));
      case 'Number':
        return NUMBERS.get(value) ?? fail(type);
      case 'String':
        return this.bytesOf(type, value).toString('utf16le');
      case 'Map':
        return new Map(this.pairsOf(type, value));
      case 'Set':
        return new Set(this.decodeArray(listOf(type, value)));
      case 'Object':
        return this.decodeProperties(objectOf(type, value));
      case 'Entries':
        return this.objectFrom(this.pairsOf(type, value));
      default:
        return isBinaryName(type) ? toBinary(type, this.bytesOf(type, value)) : fail(type);
    }
  }

  private pairsOf(type: string, value: unknown): [unknown, unknown][] {
    return listOf(type, value).map((pair) => {
      const [key, item, ...others] = listOf(type, pair);
      return others.length === 0 ? [this.decode(key), this.decode(item)] : fail(type);
    });
  }

  private objectFrom(pairs: readonly [unknown, unknown][]): Record<string, unknown> {
    const object: Record<string, unknown> = {};
    for (const [key, item] of pairs) put(object, textOf('Entries', key), item);
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

function textOf(type: string, value: unknown): string {
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
