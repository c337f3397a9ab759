import { SessionTooLargeError, UnreadableRecordError } from '../errors.js';
import { isHandle } from '../repositories/session-repository.js';
import type { AesGcmCipher } from './record.cipher.js';

/** The fields of a record in their serialized form, in order. */
export type SerializedFields = ReadonlyMap<string, Buffer>;

/** What one request did to a session, key by key; undefined is a deletion. */
export type FieldChanges = ReadonlyMap<string, Buffer | undefined>;

export const NO_CHANGES: FieldChanges = new Map();

/**
 * The fields of a record are of three kinds, told apart by the first character of their key. All are merged alike: two
 * requests that touch different keys lose nothing of one another.
 */
export const FieldKind = {
  /** A key of the application. */
  data: '.',
  /** Something the session knows about itself: `@principal`, `@permanent`, `@meta`. */
  attribute: '@',
  /** One flash message each, so that messages of parallel requests add up. */
  flash: '!',
} as const;

/** What a session knows about itself. */
export const Attribute = {
  /** Whom it belongs to. */
  principal: `${FieldKind.attribute}principal`,
  /** Whether its cookie has an expiry, where the application said so. */
  permanent: `${FieldKind.attribute}permanent`,
  /** Milliseconds that the session lives since its last use, where the application said so. */
  lifetime: `${FieldKind.attribute}lifetime`,
  /** What the application noted of the request that it began with. */
  meta: `${FieldKind.attribute}meta`,
} as const;

/** The merge: `changes` of one request on top of whatever is stored by now. Neither argument is altered. */
export function applyChanges(fields: SerializedFields, changes: FieldChanges): SerializedFields {
  const merged = new Map(fields);
  for (const [key, bytes] of changes) {
    if (bytes === undefined) merged.delete(key);
    else merged.set(key, bytes);
  }
  return merged;
}

/** A live session, as it stands in the store. All instants are epoch milliseconds. */
export interface SessionContent {
  readonly kind: 'session';
  readonly createdAt: number;
  /** When it was last written or, as far as the writer knew, used. */
  readonly accessedAt: number;
  /** When its cookie was last sent, as far as the last writer knew. */
  readonly cookieAt: number;
  /** The absolute end, whatever the use; undefined without `absoluteLifetime`. */
  readonly deadline?: number | undefined;
  /** Name of the serializer the fields are in. */
  readonly serializer: string;
  /** The fields in their serialized form, in order. */
  readonly fields: SerializedFields;
  /** What the header of a record of a later version says beyond that, as members of a JSON object. Kept when the session is stored again. */
  readonly unknown?: string | undefined;
}

/**
 * What stays under an old id for a moment: a destroyed session (`to` undefined), so that nothing in flight writes it
 * again, or a regenerated one, so that requests in flight find where it went.
 */
export interface RetiredContent {
  readonly kind: 'retired';
  readonly to?: string | undefined;
  /** Past this instant it leads nowhere, even where the store is late to remove it. */
  readonly until: number;
  /** What requests with the old id see: the session as it was when it got its new id, and nothing that came later. */
  readonly seen?: SessionContent | undefined;
  /** What stands under the name of a session of a former system: that it goes on here. */
  readonly claim?: AdoptionClaim | undefined;
}

/** That a session of a former system goes on here: once, however many requests try. */
export interface AdoptionClaim {
  /** Random characters that the id of the session follows from, together with the former cookie. */
  readonly nonce: string;
  /** Epoch milliseconds of the claim. */
  readonly at: number;
  /** Whether the session was made; it is not made again then. */
  readonly isDone: boolean;
}

export type RecordContent = SessionContent | RetiredContent;

/** What each field costs besides its key and value: its place in the record's header, and in memory once it is read. */
const FIELD_OVERHEAD = 32;
const LARGEST_SHOWN = 3;
const FORMAT = 1;
const NEWLINE = 0x0a;
const NEEDS_NO_ESCAPE = /^[\w.@!:-]*$/;
/** The largest instant that a `Date` has (ECMA-262 §21.4.1.1). */
const MAX_INSTANT = 8.64e15;

/** The first line of a record. Short names: it is in every record, and parsed on every read. */
interface Header {
  v: number;
  s?: string;
  c?: number;
  a?: number;
  k?: number;
  d?: number;
  /** 1 where the handle is the id itself; absent where it is a hash of it. */
  p?: 1 | undefined;
  /** Keys and byte lengths of the fields that follow. */
  f?: [string, number][];
  /** Of a retired record: where to, and until when. */
  to?: string | undefined;
  until?: number;
  /** What requests with the old id see, a record in base64: a version before this one ignores it. */
  seen?: string | undefined;
  claim?: AdoptionClaim | undefined;
}

/** What this version knows of a header: the members of `Header`. */
const KNOWN: ReadonlySet<string> = new Set('v s c a k d p f to until seen claim'.split(' '));

/** How records are written, and which ones count. */
export interface RecordCodecOptions {
  /**
   * Seals what is written. With it, a record that is not encrypted counts as unreadable, even one from before encryption was turned
   * on: otherwise a writer to the store could put a plain record in place of a sealed one. So turning encryption
   * on (or off) ends the sessions that are stored by then.
   */
  readonly cipher?: AesGcmCipher | undefined;
  /**
   * Whether handles are hashes of ids. Without hashing, a record that was stored under a hash counts as unreadable: its handle,
   * which administration and logs may show, would be a valid id.
   */
  readonly hashIds?: boolean;
}

/**
 * The form of a record in the store: one line of JSON that names the fields and their lengths, then the fields one after
 * the other. So a reader finds each field without decoding the others, and a writer copies unchanged ones as they are.
 */
export class RecordCodec {
  private readonly cipher: AesGcmCipher | undefined;
  private readonly hashIds: boolean;

  constructor({ cipher, hashIds = true }: RecordCodecOptions = {}) {
    this.cipher = cipher;
    this.hashIds = hashIds;
  }

  encode(handle: string, content: RecordContent): Uint8Array {
    const plain = content.kind === 'retired' ? this.encodeRetired(content) : this.encodeSession(content);
    return this.cipher ? this.cipher.seal(handle, plain) : plain;
  }

  /** @throws UnreadableRecordError for anything that `encode` did not make with a key that is known here. */
  decode(handle: string, payload: Uint8Array): RecordContent {
    const bytes = toBuffer(payload);
    return this.decodePlain(this.cipher ? this.cipher.open(handle, bytes) : bytes);
  }

  private encodeRetired({ to, until, seen: content, claim }: RetiredContent): Buffer {
    const seen = content && this.encodeSession(content).toString('base64');
    return Buffer.from(`${JSON.stringify({ v: FORMAT, p: this.hashIds ? undefined : 1, until, to, seen, claim } satisfies Header)}\n`);
  }

  private encodeSession(content: SessionContent): Buffer {
    const { serializer: s, createdAt: c, accessedAt: a, cookieAt: k, deadline, fields, unknown } = content;
    let f = '';
    let length = 0;
    for (const [key, bytes] of fields) {
      f += `${f === '' ? '' : ','}[${quote(key)},${bytes.length}]`;
      length += bytes.length;
    }
    const p = this.hashIds ? '' : ',"p":1';
    const d = deadline === undefined ? '' : `,"d":${deadline}`;
    const others = unknown === undefined ? '' : `,${unknown}`;
    const head = `{"v":${FORMAT}${p},"s":${quote(s)},"c":${c},"a":${a},"k":${k}${d},"f":[${f}]${others}}\n`;
    let offset = Buffer.byteLength(head);
    const record = Buffer.allocUnsafe(offset + length);
    record.write(head);
    for (const bytes of fields.values()) {
      record.set(bytes, offset);
      offset += bytes.length;
    }
    return record;
  }

  private decodePlain(bytes: Buffer): RecordContent {
    const end = bytes.indexOf(NEWLINE);
    if (end < 0) throw new UnreadableRecordError('its first line has no end');
    const header = parseHeader(bytes.toString('utf8', 0, end));
    if (header?.v !== FORMAT) throw new UnreadableRecordError(`its format is not ${FORMAT}`);
    if (!this.hashIds && header.p !== 1) {
      throw new UnreadableRecordError("it was stored under the hash of its id, and the option 'hashIds' is false");
    }
    if (header.until !== undefined) return this.decodeRetired(header, bytes.length - end - 1);
    if (typeof header.s !== 'string') throw new UnreadableRecordError('it does not name its serializer');
    return {
      kind: 'session',
      serializer: header.s,
      createdAt: instant(header.c, 'c'),
      accessedAt: instant(header.a, 'a'),
      cookieAt: instant(header.k, 'k'),
      deadline: header.d === undefined ? undefined : instant(header.d, 'd'),
      fields: sliceFields(header.f, bytes, end + 1),
      unknown: unknownIn(header),
    };
  }

  private decodeRetired({ to, until, seen, claim }: ParsedHeader, rest: number): RetiredContent {
    // The repository is going to be asked for what stands there.
    if (to !== undefined && !isHandle(to)) throw new UnreadableRecordError(`'to' in its first line is not a handle`);
    if (rest !== 0) throw new UnreadableRecordError('it goes on after its end');
    const content = typeof seen === 'string' ? this.decodePlain(Buffer.from(seen, 'base64')) : undefined;
    if (content?.kind === 'retired') throw new UnreadableRecordError('it holds another one that is retired');
    return { kind: 'retired', to, until: instant(until, 'until'), seen: content, claim: claim === undefined ? undefined : claimIn(claim) };
  }
}

function claimIn(value: unknown): AdoptionClaim {
  const { nonce, at, isDone } = (typeof value === 'object' && value !== null ? value : {}) as Partial<Record<keyof AdoptionClaim, unknown>>;
  if (isHandle(nonce) && typeof isDone === 'boolean') return { nonce, at: instant(at, 'at'), isDone };
  throw new UnreadableRecordError(`'claim' in its first line is malformed`);
}

type ParsedHeader = Partial<Record<keyof Header, unknown>>;

/** What a later version says of a session in its header, as it stands there. */
function unknownIn(header: ParsedHeader): string | undefined {
  let members: string[] | undefined;
  for (const [key, value] of Object.entries(header)) {
    if (!KNOWN.has(key)) (members ??= []).push(`${JSON.stringify(key)}:${inJson(value)}`);
  }
  return members?.join(',');
}

function inJson(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch {
    throw new UnreadableRecordError('its first line is nested too deeply');
  }
}

/** A string as JSON has it. Written by hand, as the whole line is, because it is on the way of every change. */
function quote(text: string): string {
  return NEEDS_NO_ESCAPE.test(text) ? `"${text}"` : JSON.stringify(text);
}

function parseHeader(text: string): ParsedHeader | null {
  try {
    return JSON.parse(text) as ParsedHeader | null;
  } catch {
    // V8's own message quotes the text, and nothing of a session belongs in a log.
    throw new UnreadableRecordError('its first line is not JSON');
  }
}

function sliceFields(lengths: unknown, bytes: Buffer, start: number): Map<string, Buffer> {
  if (!Array.isArray(lengths)) throw new UnreadableRecordError('it lists no fields');
  const fields = new Map<string, Buffer>();
  let offset = start;
  for (const entry of lengths as unknown[]) {
    const [key, length] = Array.isArray(entry) ? (entry as unknown[]) : [];
    if (typeof key !== 'string' || fields.has(key) || !isLength(length)) {
      throw new UnreadableRecordError('its list of fields is malformed');
    }
    fields.set(key, bytes.subarray(offset, (offset += length)));
  }
  if (offset !== bytes.length) throw new UnreadableRecordError(`it has ${bytes.length} bytes, its fields need ${offset}`);
  return fields;
}

function isLength(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function instant(value: unknown, name: string): number {
  if (typeof value === 'number' && Math.abs(value) <= MAX_INSTANT) return value;
  throw new UnreadableRecordError(`'${name}' in its first line is not an instant`);
}

/**
 * Keys count as values do: a record of many small keys costs as much as one of few large values.
 *
 * @param maxBytes bytes of keys and values, and a constant for each field.
 * @throws SessionTooLargeError naming the largest keys.
 */
export function assertSize(fields: SerializedFields, maxBytes: number): void {
  let bytes = 0;
  // A key has at least as many bytes as characters; most have exactly as many. So exact counting is left for a close call.
  for (const [key, value] of fields) bytes += 3 * key.length + value.length + FIELD_OVERHEAD;
  if (bytes <= maxBytes) return;
  const sizes = Array.from(fields, ([key, value]) => ({
    key: key.slice(1),
    bytes: Buffer.byteLength(key) + value.length + FIELD_OVERHEAD,
  }));
  bytes = sizes.reduce((sum, size) => sum + size.bytes, 0);
  if (bytes <= maxBytes) return;
  const largest = sizes.sort((a, b) => b.bytes - a.bytes).slice(0, LARGEST_SHOWN);
  throw new SessionTooLargeError(bytes, maxBytes, largest);
}

/** A string in UTF-8, or a view of bytes as a Buffer over the same memory: nothing is copied. */
export function toBuffer(bytes: string | ArrayBufferView): Buffer {
  if (typeof bytes === 'string') return Buffer.from(bytes);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
