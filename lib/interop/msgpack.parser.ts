import { fromEntries, MAX_DEPTH } from './pickle.values.js';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
/** The extension type of an instant, the only one that Flask-Session's encoder (msgspec) writes. */
const TIMESTAMP = -1;

/**
 * Reads MessagePack as Flask-Session writes it from version 0.7 on: plain values, bytes as Uint8Array, instants as Date.
 *
 * @throws Error for anything else, saying what.
 */
export function parseMsgpack(bytes: Uint8Array): unknown {
  const parser = new MsgpackParser(bytes);
  const value = parser.value(1);
  if (!parser.isAtEnd) throw new Error('it goes on after its end');
  return value;
}

class MsgpackParser {
  private readonly view: DataView;
  private position = 0;

  constructor(private readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get isAtEnd(): boolean {
    return this.position === this.bytes.length;
  }

  value(depth: number): unknown {
    const code = this.uint(1);
    if (code < 0x80) return code;
    if (code >= 0xe0) return code - 0x100;
    if (code < 0x90) return this.map(code & 0x0f, depth);
    if (code < 0xa0) return this.array(code & 0x0f, depth);
    if (code < 0xc0) return this.string(code & 0x1f);
    switch (code) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
      case 0xc5:
      case 0xc6:
        return Uint8Array.from(this.take(this.uint(2 ** (code - 0xc4))));
      case 0xc7:
      case 0xc8:
      case 0xc9:
        return this.extension(this.uint(2 ** (code - 0xc7)));
      case 0xca:
        return this.view.getFloat32(this.skip(4));
      case 0xcb:
        return this.view.getFloat64(this.skip(8));
      case 0xcc:
      case 0xcd:
      case 0xce:
        return this.uint(2 ** (code - 0xcc));
      case 0xcf:
        return toNumber(this.view.getBigUint64(this.skip(8)));
      case 0xd0:
        return this.view.getInt8(this.skip(1));
      case 0xd1:
        return this.view.getInt16(this.skip(2));
      case 0xd2:
        return this.view.getInt32(this.skip(4));
      case 0xd3:
        return toNumber(this.view.getBigInt64(this.skip(8)));
      case 0xd4:
      case 0xd5:
      case 0xd6:
      case 0xd7:
      case 0xd8:
        return this.extension(2 ** (code - 0xd4));
      case 0xd9:
      case 0xda:
      case 0xdb:
        return this.string(this.uint(2 ** (code - 0xd9)));
      case 0xdc:
      case 0xdd:
        return this.array(this.uint(2 ** (code - 0xdb)), depth);
      case 0xde:
      case 0xdf:
        return this.map(this.uint(2 ** (code - 0xdd)), depth);
      default:
        throw new Error('it has a type that MessagePack does not know');
    }
  }

  private array(length: number, depth: number): unknown[] {
    this.enter(length, depth);
    const items: unknown[] = [];
    for (let index = 0; index < length; index++) items.push(this.value(depth + 1));
    return items;
  }

  private map(length: number, depth: number): unknown {
    this.enter(2 * length, depth);
    const entries: [unknown, unknown][] = [];
    for (let index = 0; index < length; index++) entries.push([this.value(depth + 1), this.value(depth + 1)]);
    return fromEntries(entries);
  }

  /** Every part has a byte at least, so a length is believed only as far as there are bytes. */
  private enter(parts: number, depth: number): void {
    if (depth > MAX_DEPTH) throw new Error(`it is nested too deeply (more than ${MAX_DEPTH} levels)`);
    if (parts > this.bytes.length - this.position) throw new Error('it ends too early');
  }

  private extension(length: number): Date {
    const type = this.view.getInt8(this.skip(1));
    if (type !== TIMESTAMP) throw new Error(`it has the extension type ${type}`);
    if (length === 4) return new Date(this.uint(4) * 1000);
    if (length === 8) {
      const packed = this.view.getBigUint64(this.skip(8));
      return instant(packed & 0x3ffffffffn, Number(packed >> 34n));
    }
    if (length !== 12) throw new Error('it has a malformed instant');
    const nanoseconds = this.uint(4);
    return instant(this.view.getBigInt64(this.skip(8)), nanoseconds);
  }

  private string(length: number): string {
    return utf8.decode(this.take(length));
  }

  private take(length: number): Uint8Array {
    const start = this.skip(length);
    return this.bytes.subarray(start, start + length);
  }

  private uint(size: number): number {
    const at = this.skip(size);
    return size === 1 ? this.view.getUint8(at) : size === 2 ? this.view.getUint16(at) : this.view.getUint32(at);
  }

  private skip(length: number): number {
    const start = this.position;
    if (length > this.bytes.length - start) throw new Error('it ends too early');
    this.position = start + length;
    return start;
  }
}

function toNumber(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function instant(seconds: bigint, nanoseconds: number): Date {
  const date = new Date(Number(seconds) * 1000 + Math.floor(nanoseconds / 1_000_000));
  if (Number.isNaN(date.getTime())) throw new Error('it has an instant that no Date holds');
  return date;
}
