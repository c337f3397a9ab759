import { isUtf8 } from 'node:buffer';
import { assertNesting } from './nesting.js';

const DOES_NOT_FIT = 'it is damaged: it has too few or too many bytes';

/**
 * Walks over MessagePack without building anything and refuses what `MsgpackSerializer` does not write. msgpackr would do
 * much more for bytes of somebody else's: make regular expressions, errors and shared references, compile readers for
 * records, or reserve room for lengths that are not there.
 *
 * @throws TypeError or RangeError; nothing of the content stands in the message.
 */
export function assertPlainMsgpack(bytes: Buffer): void {
  const end = new Scan(bytes).value(0, 1);
  if (end !== bytes.length) throw new RangeError(DOES_NOT_FIT);
}

/** Each method takes where something begins and returns where it ends. */
class Scan {
  constructor(private readonly bytes: Buffer) {}

  value(at: number, depth: number): number {
    const token = this.uint(at, 1);
    const next = at + 1;
    if (token < 0x80 || token >= 0xe0) return next; // a small whole number
    if (token < 0x90) return this.map(next, token & 0x0f, depth);
    if (token < 0xa0) return this.items(next, token & 0x0f, depth);
    if (token < 0xc0) return this.text(next, token & 0x1f);
    switch (token) {
      case 0xc0: // null
      case 0xc2: // false
      case 0xc3: // true
        return next;
      case 0xc4: // binary data, by the size of its length
        return this.skip(next + 1, this.uint(next, 1));
      case 0xc5:
        return this.skip(next + 2, this.uint(next, 2));
      case 0xc6:
        return this.skip(next + 4, this.uint(next, 4));
      case 0xcb: // a double
        return this.skip(next, 8);
      case 0xcc: // whole numbers of one, two and four bytes
      case 0xd0:
        return this.skip(next, 1);
      case 0xcd:
      case 0xd1:
        return this.skip(next, 2);
      case 0xce:
      case 0xd2:
        return this.skip(next, 4);
      case 0xd9: // texts, by the size of their length
        return this.text(next + 1, this.uint(next, 1));
      case 0xda:
        return this.text(next + 2, this.uint(next, 2));
      case 0xdb:
        return this.text(next + 4, this.uint(next, 4));
      case 0xdc: // lists and maps, by the size of their count
        return this.items(next + 2, this.uint(next, 2), depth);
      case 0xdd:
        return this.items(next + 4, this.uint(next, 4), depth);
      case 0xde:
        return this.map(next + 2, this.uint(next, 2), depth);
      case 0xdf:
        return this.map(next + 4, this.uint(next, 4), depth);
      default:
        throw new TypeError('it holds a MessagePack type that sessions are not written with');
    }
  }

  private items(start: number, count: number, depth: number): number {
    this.enter(start, count, depth);
    let at = start;
    for (let index = 0; index < count; index++) at = this.value(at, depth + 1);
    return at;
  }

  private map(start: number, count: number, depth: number): number {
    this.enter(start, 2 * count, depth);
    let at = start;
    for (let index = 0; index < count; index++) at = this.value(this.key(at), depth + 1);
    return at;
  }

  private key(at: number): number {
    const token = this.uint(at, 1);
    const isText = (token >= 0xa0 && token < 0xc0) || (token >= 0xd9 && token <= 0xdb);
    if (!isText) throw new TypeError('it holds a key that is no text');
    return this.value(at, 1);
  }

  /** Every item has at least one byte, so a count is believed only as far as there are bytes. */
  private enter(at: number, count: number, depth: number): void {
    assertNesting(depth);
    this.skip(at, count);
  }

  private skip(at: number, length: number): number {
    if (at + length > this.bytes.length) throw new RangeError(DOES_NOT_FIT);
    return at + length;
  }

  /** A broken sequence at the end of a text would make a decoder read on into what follows. */
  private text(at: number, length: number): number {
    const end = this.skip(at, length);
    for (let index = at; index < end; index++) {
      if (this.bytes[index]! < 0x80) continue;
      if (!isUtf8(this.bytes.subarray(at, end))) throw new TypeError('it holds a text that is not UTF-8');
      break;
    }
    return end;
  }

  private uint(at: number, size: 1 | 2 | 4): number {
    this.skip(at, size);
    if (size === 1) return this.bytes[at]!;
    return size === 2 ? this.bytes.readUInt16BE(at) : this.bytes.readUInt32BE(at);
  }
}
