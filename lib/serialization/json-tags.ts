/**
 * Values that JSON has no form for are written as `{"$type": <name>, "value": …}`. A plain object of the user that has
 * a key `$type` is wrapped the same way, so that it comes back as what it was.
 */
export const TAG = '$type';

const OBJECT = 'Object';

/** The binary views, by name. */
const VIEWS = new Map<string, (bytes: Buffer) => ArrayBufferView>([
  ['Buffer', (bytes) => bytes],
  ['Uint8Array', (bytes) => new Uint8Array(bytes)],
  ['Uint8ClampedArray', (bytes) => new Uint8ClampedArray(bytes)],
  ['Int8Array', (bytes) => new Int8Array(bytes)],
  ...[Int16Array, Uint16Array, Int32Array, Uint32Array, Float32Array, Float64Array, BigInt64Array, BigUint64Array].map(
    (View) => [View.name, (bytes: Buffer) => new View(Uint8Array.from(bytes).buffer)] as const,
  ),
]);

type Tagged = { [TAG]: string; value: unknown };

const tagged = (type: string, value: unknown): Tagged => ({ [TAG]: type, value });

/**
 * The value with everything JSON lacks replaced by tags. What needs no tag is returned as it is, not copied.
 *
 * @throws RangeError for a value that contains itself, as the recursion never ends.
 */
export function encodeTags(value: unknown): unknown {
  switch (typeof value) {
    case 'bigint':
      return tagged('BigInt', value.toString());
    case 'number':
      return Number.isFinite(value) && !Object.is(value, -0) ? value : tagged('Number', Object.is(value, -0) ? '-0' : String(value));
    case 'object':
      return value === null ? null : encodeObject(value);
    default:
      return value;
  }
}

function encodeObject(value: object): unknown {
  if (Array.isArray(value)) return encodeArray(value);
  if (value instanceof Date) return tagged('Date', Number.isNaN(value.getTime()) ? null : value.toISOString());
  if (value instanceof Map)
    return tagged(
      'Map',
      Array.from(value, ([key, item]) => [encodeItem(key), encodeItem(item)]),
    );
  if (value instanceof Set) return tagged('Set', Array.from(value, encodeItem));
  if (ArrayBuffer.isView(value)) return encodeView(value);
  if ('toJSON' in value && typeof value.toJSON === 'function') return encodeTags(value.toJSON());
  return encodeProperties(value as Record<string, unknown>);
}

/** An item of an array, a Map or a Set, where `undefined` has a place that must not be lost. */
function encodeItem(item: unknown): unknown {
  return item === undefined ? tagged('undefined', null) : encodeTags(item);
}

function encodeArray(items: readonly unknown[]): unknown {
  let copy: unknown[] | undefined;
  for (let index = 0; index < items.length; index++) {
    const encoded = encodeItem(items[index]);
    if (encoded !== items[index]) copy ??= items.slice();
    if (copy) copy[index] = encoded;
  }
  return copy ?? items;
}

function encodeProperties(object: Record<string, unknown>): unknown {
  let copy: Record<string, unknown> | undefined;
  for (const key of Object.keys(object)) {
    const encoded = encodeTags(object[key]);
    if (encoded === object[key]) continue;
    // A copy without prototype takes a key like `__proto__` as the plain key that it is.
    copy ??= Object.assign(Object.create(null) as Record<string, unknown>, object);
    copy[key] = encoded;
  }
  return Object.hasOwn(object, TAG) ? tagged(OBJECT, copy ?? object) : (copy ?? object);
}

function encodeView(view: ArrayBufferView): unknown {
  const name = Buffer.isBuffer(view) ? 'Buffer' : view.constructor.name;
  if (!VIEWS.has(name)) throw new TypeError(`holds a ${name}, which cannot be serialized`);
  return tagged(name, Buffer.from(view.buffer, view.byteOffset, view.byteLength).toString('base64'));
}

/**
 * The value that `encodeTags` was given. Works in place: the argument comes fresh from `JSON.parse`.
 *
 * @throws TypeError for a tag that `encodeTags` does not write.
 */
export function decodeTags(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) value[index] = decodeTags(value[index]);
    return value;
  }
  const object = value as Record<string, unknown>;
  if (Object.hasOwn(object, TAG)) return decodeTagged(object as Tagged);
  return decodeProperties(object);
}

function decodeProperties(object: Record<string, unknown>): Record<string, unknown> {
  for (const key of Object.keys(object)) {
    const decoded = decodeTags(object[key]);
    if (decoded === object[key]) continue;
    // Not an assignment: that would set the prototype where the key is `__proto__`.
    Object.defineProperty(object, key, { value: decoded, enumerable: true, configurable: true, writable: true });
  }
  return object;
}

function decodeTagged({ [TAG]: type, value }: Tagged): unknown {
  switch (type) {
    case 'undefined':
      return undefined;
    case 'Date':
      return value === null ? new Date(Number.NaN) : new Date(text(type, value));
    case 'BigInt':
      return BigInt(text(type, value));
    case 'Number':
      return Number(text(type, value));
    case 'Map':
      return new Map(list(type, value).map((pair) => list(type, pair).map(decodeTags) as [unknown, unknown]));
    case 'Set':
      return new Set(list(type, value).map(decodeTags));
    case OBJECT:
      if (typeof value !== 'object' || value === null) throw malformed(type);
      return decodeProperties(value as Record<string, unknown>);
    default: {
      const view = VIEWS.get(type);
      if (view === undefined) throw malformed(type);
      return view(Buffer.from(text(type, value), 'base64'));
    }
  }
}

function text(type: string, value: unknown): string {
  if (typeof value !== 'string') throw malformed(type);
  return value;
}

function list(type: string, value: unknown): unknown[] {
  if (!Array.isArray(value)) throw malformed(type);
  return value;
}

function malformed(type: unknown): TypeError {
  return new TypeError(`is a malformed value of type ${JSON.stringify(type)}`);
}
