import { isUtf8 } from 'node:buffer';
import type { Decoder, Encoder } from '@msgpack/msgpack';
import { loadPackage } from '../common/load-package.js';
import { printable, reasonOf } from '../common/redact.js';
import { MissingPackageError, UnreadableRecordError } from '../errors.js';
import { type SessionContent, toBuffer } from './record.codec.js';
import { MAX_NESTING, TAG, TagDecoder, TagEncoder, type ValueForm } from './tagged-values.js';

/**
 * Turns the value of one session key into bytes and back. Values are serialized key by key, so that a request decodes
 * only what it reads and rewrites only what it changed.
 *
 * A serializer must give the same bytes for the same value: changes are found by comparing them.
 */
export abstract class SessionSerializer {
  /** Written into each record, so that a deploy that changes the serializer recognizes the records of the old one. */
  abstract readonly name: string;

  /**
   * @returns the serialized value; undefined for a value that is not kept at all (a function, `undefined`).
   * @throws when the value cannot be serialized; the caller adds the name of the key.
   */
  abstract serialize(value: unknown): string | Uint8Array | undefined;

  /**
   * @throws when the bytes are not what `serialize` gives; the value then counts as absent. The message is logged, so
   *   nothing of the content belongs in it.
   */
  abstract deserialize(bytes: Buffer): unknown;
}

const JSON_FORM: ValueForm = {
  writeBytes: (bytes) => bytes.toString('base64'),
  readBytes: (value) => (typeof value === 'string' ? Buffer.from(value, 'base64') : undefined),
};

/** What a tag looks like in JSON; nothing is searched for tags where this is absent. */
const TAG_IN_JSON = `"${TAG}"`;

/** JSON, with the values that JSON lacks written as tags. Plain values take V8's own fast path both ways. */
export class JsonSerializer extends SessionSerializer {
  override readonly name = 'json';

  private readonly encoder = new TagEncoder(JSON_FORM);
  private readonly decoder = new TagDecoder(JSON_FORM);

  override serialize(value: unknown): string | undefined {
    return JSON.stringify(this.encoder.encode(value));
  }

  override deserialize(bytes: Buffer): unknown {
    const json = bytes.toString('utf8');
    const value = parse(json);
    // A value of so few bytes cannot be nested too deeply.
    return bytes.length > 2 * MAX_NESTING || json.includes(TAG_IN_JSON) ? this.decoder.decode(value) : value;
  }
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    // V8's own message quotes what it read, and nothing of a session belongs in a log.
    throw new SyntaxError('it is not JSON');
  }
}

/** A surrogate without its other half: UTF-8 has no form for it. */
const LONE_SURROGATE = /\p{Surrogate}/u;

const MSGPACK_FORM: ValueForm = {
  writeBytes: (bytes) => bytes,
  readBytes: (value) => (value instanceof Uint8Array ? toBuffer(value) : undefined),
  holdsString: (text) => !LONE_SURROGATE.test(text),
  // The decoder refuses `__proto__`. Version 0.1.0 could not write `toJSON`, and values must not be written again because of another form.
  holdsKey: (key) => key !== '__proto__' && key !== 'toJSON' && !LONE_SURROGATE.test(key),
};

const TAG_IN_MSGPACK = Buffer.from(TAG);

/**
 * MessagePack: smaller than JSON, and binary values need no base64. The package is given plain data only, and reads nothing but that;
 * what else there is stands in the same tags as in JSON.
 */
export class MsgpackSerializer extends SessionSerializer {
  override readonly name = 'msgpack';

  private readonly encoder = new TagEncoder(MSGPACK_FORM);
  private readonly decoder = new TagDecoder(MSGPACK_FORM);

  private constructor(
    private readonly packer: Encoder,
    private readonly unpacker: Decoder,
  ) {
    super();
  }

  /** @throws MissingPackageError when @msgpack/msgpack is not installed. */
  static async create(): Promise<MsgpackSerializer> {
    const msgpack = await loadPackage(() => import('@msgpack/msgpack'), "serializer 'msgpack'", '@msgpack/msgpack');
    return new MsgpackSerializer(
      new msgpack.Encoder({ maxDepth: MAX_NESTING + 1 }),
      new msgpack.Decoder({ mapKeyConverter: assertStringKey }),
    );
  }

  override serialize(value: unknown): Uint8Array | undefined {
    const encoded = this.encoder.encode(value);
    return encoded === undefined ? undefined : this.packer.encode(encoded);
  }

  override deserialize(bytes: Buffer): unknown {
    assertPlainMsgpack(bytes);
    const value: unknown = this.unpacker.decode(bytes);
    return bytes.includes(TAG_IN_MSGPACK) ? this.decoder.decode(value) : value;
  }
}

const DAMAGED = 'it is damaged: it has too few or too many bytes';

type Layout = readonly [size: number, kind: 'number' | 'binary' | 'string' | 'list' | 'map'];

/**
 * What follows each of the types from 0xc0 on: the bytes of a number (none for null, false and true), or a length or count of so many bytes.
 * Types that are missing here are refused: extensions and 32-bit floats.
 */
const LAYOUTS: Readonly<Record<number, Layout>> = {
  0xc0: [0, 'number'],
  0xc2: [0, 'number'],
  0xc3: [0, 'number'],
  0xc4: [1, 'binary'],
  0xc5: [2, 'binary'],
  0xc6: [4, 'binary'],
  0xcb: [8, 'number'],
  0xcc: [1, 'number'],
  0xcd: [2, 'number'],
  0xce: [4, 'number'],
  0xcf: [8, 'number'],
  0xd0: [1, 'number'],
  0xd1: [2, 'number'],
  0xd2: [4, 'number'],
  0xd3: [8, 'number'],
  0xd9: [1, 'string'],
  0xda: [2, 'string'],
  0xdb: [4, 'string'],
  0xdc: [2, 'list'],
  0xdd: [4, 'list'],
  0xde: [2, 'map'],
  0xdf: [4, 'map'],
};

/**
 * Walks over MessagePack without building anything and refuses what `MsgpackSerializer` does not write. The decoder of the package
 * would reserve memory for counts of items that are not there, at any depth, and read over broken UTF-8.
 *
 * @throws TypeError or RangeError; nothing of the content stands in the message.
 */
function assertPlainMsgpack(bytes: Buffer): void {
  /** How many items are still to come in each list and map that is open; a map has a key and a value for each entry. */
  const open: number[] = [1];
  let at = 0;
  while (open.length > 0) {
    const { length, items, isString, start } = tokenAt(bytes, at);
    // Every item has at least one byte, so a count is believed only as far as there are bytes.
    if (start + length + items > bytes.length) throw new RangeError(DAMAGED);
    if (isString) assertUtf8(bytes, start, start + length);
    at = start + length;
    open[open.length - 1]!--;
    if (items > 0) open.push(items);
    if (open.length > MAX_NESTING + 1) throw new RangeError('it is nested too deeply');
    while (open.at(-1) === 0) open.pop();
  }
  if (at !== bytes.length) throw new RangeError(DAMAGED);
}

/** What one value begins with: the bytes that it has from `start` on, and the items that follow as values of their own. */
interface Token {
  readonly start: number;
  readonly length: number;
  readonly items: number;
  readonly isString: boolean;
}

function tokenAt(bytes: Buffer, at: number): Token {
  const type = bytes[at];
  if (type === undefined) throw new RangeError(DAMAGED);
  const start = at + 1;
  if (type < 0x80 || type >= 0xe0) return { start, length: 0, items: 0, isString: false };
  if (type < 0x90) return { start, length: 0, items: 2 * (type & 0x0f), isString: false };
  if (type < 0xa0) return { start, length: 0, items: type & 0x0f, isString: false };
  if (type < 0xc0) return { start, length: type & 0x1f, items: 0, isString: true };
  const [size, kind] = LAYOUTS[type] ?? fail('it holds a MessagePack type that sessions are not written with');
  if (kind === 'number') return { start, length: size, items: 0, isString: false };
  if (start + size > bytes.length) throw new RangeError(DAMAGED);
  const count = bytes.readUIntBE(start, size);
  const isContainer = kind === 'list' || kind === 'map';
  return {
    start: start + size,
    length: isContainer ? 0 : count,
    items: isContainer ? (kind === 'map' ? 2 * count : count) : 0,
    isString: kind === 'string',
  };
}

function assertUtf8(bytes: Buffer, start: number, end: number): void {
  for (let at = start; at < end; at++) {
    if (bytes[at]! < 0x80) continue;
    if (!isUtf8(bytes.subarray(at, end))) throw new TypeError('it holds a string that is not UTF-8');
    return;
  }
}

function assertStringKey(key: unknown): string {
  return typeof key === 'string' ? key : fail('it holds a key that is not a string');
}

function fail(message: string): never {
  throw new TypeError(message);
}

/** The serializer that writes, and those that can still read what an earlier deploy wrote. */
export class SerializerRegistry {
  private readonly byName: ReadonlyMap<string, SessionSerializer>;

  constructor(
    readonly current: SessionSerializer,
    others: readonly SessionSerializer[] = [],
  ) {
    this.byName = new Map([...others, current].map((serializer) => [serializer.name, serializer]));
  }

  /**
   * The content in the form of the current serializer.
   *
   * @throws UnreadableRecordError when nothing here can read it.
   */
  convert(content: SessionContent): SessionContent {
    if (content.serializer === this.current.name) return content;
    const former = this.byName.get(content.serializer);
    if (former === undefined) {
      throw new UnreadableRecordError(`it was written by the serializer '${printable(content.serializer, 40)}', which is not configured`);
    }
    const fields = new Map<string, Buffer>();
    for (const [key, bytes] of content.fields) {
      try {
        const serialized = this.current.serialize(former.deserialize(bytes));
        if (serialized !== undefined) fields.set(key, toBuffer(serialized));
      } catch (error) {
        const reason = `its field '${printable(key.slice(1), 60)}' cannot be converted from ${former.name}: ${reasonOf(error, bytes)}`;
        throw new UnreadableRecordError(reason);
      }
    }
    return { ...content, serializer: this.current.name, fields };
  }
}

/** The chosen serializer, and the built-in ones to read what they wrote before. */
export async function createSerializers(chosen: 'json' | 'msgpack' | SessionSerializer): Promise<SerializerRegistry> {
  const json = new JsonSerializer();
  if (chosen === 'msgpack') return new SerializerRegistry(await MsgpackSerializer.create(), [json]);
  const msgpack = await msgpackIfInstalled();
  return new SerializerRegistry(chosen === 'json' ? json : chosen, msgpack === undefined ? [json] : [json, msgpack]);
}

/** An application that never used it does not need the package. */
async function msgpackIfInstalled(): Promise<SessionSerializer | undefined> {
  try {
    return await MsgpackSerializer.create();
  } catch (error) {
    if (error instanceof MissingPackageError) return undefined;
    throw error;
  }
}
