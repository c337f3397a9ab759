import { types } from 'node:util';

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

/** How binary values are made from memory that nobody else has, by name. */
const CONSTRUCTORS: ReadonlyMap<string, (memory: ArrayBuffer) => unknown> = new Map([
  ['ArrayBuffer', (memory) => memory],
  ['Buffer', (memory) => Buffer.from(memory)],
  ...VIEWS.map((View) => [View.name, (memory: ArrayBuffer): unknown => new View(memory)] as const),
]);

/**
 * @returns the name and the bytes of a binary value, undefined for any other.
 * @throws TypeError for one that `toBinary` could not restore.
 */
export function fromBinary(value: object): { name: string; bytes: Buffer } | undefined {
  if (ArrayBuffer.isView(value)) {
    const name = Buffer.isBuffer(value) ? 'Buffer' : value.constructor.name;
    if (!CONSTRUCTORS.has(name)) throw new TypeError(`it holds a ${name}`);
    return { name, bytes: Buffer.from(value.buffer, value.byteOffset, value.byteLength) };
  }
  if (types.isArrayBuffer(value)) return { name: 'ArrayBuffer', bytes: Buffer.from(value) };
  return undefined;
}

/**
 * @returns the binary value of this name, undefined where there is no such name.
 * @throws RangeError for a number of bytes that such a value cannot have.
 */
export function toBinary(name: string, bytes: Buffer): unknown {
  return CONSTRUCTORS.get(name)?.(Uint8Array.from(bytes).buffer);
}

export function isBinaryName(name: string): boolean {
  return CONSTRUCTORS.has(name);
}
