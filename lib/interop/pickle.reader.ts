/** Longer integers cost more time to read than they are worth. */
const MAX_DIGITS = 1_000;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The arguments of pickle's operations. What is not there, or is malformed, is an error. */
export class PickleReader {
  private readonly buffer: Buffer;
  private position = 0;

  constructor(bytes: Uint8Array) {
    this.buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get isAtEnd(): boolean {
    return this.position === this.buffer.length;
  }

  skip(count: number): number {
    const start = this.position;
    if (count > this.buffer.length - start) throw new Error('it ends too early');
    this.position = start + count;
    return start;
  }

  byte(): number {
    return this.buffer.readUInt8(this.skip(1));
  }

  uint16(): number {
    return this.buffer.readUInt16LE(this.skip(2));
  }

  int32(): number {
    return this.buffer.readInt32LE(this.skip(4));
  }

  uint32(): number {
    return this.buffer.readUInt32LE(this.skip(4));
  }

  /** A length. Past what a number holds exactly it is past the end too. */
  uint64(): number {
    return Number(this.buffer.readBigUInt64LE(this.skip(8)));
  }

  float64(): number {
    return this.buffer.readDoubleBE(this.skip(8));
  }

  /** A copy, because the bytes that were read may be the buffer of a network client. */
  bytes(length: number): Uint8Array {
    const start = this.skip(length);
    return Uint8Array.from(this.buffer.subarray(start, start + length));
  }

  string(length: number): string {
    const start = this.skip(length);
    return utf8.decode(this.buffer.subarray(start, start + length));
  }

  /** An integer of any size: little-endian, two's complement. */
  long(length: number): number | bigint {
    if (length > MAX_DIGITS) throw new Error('it has an integer that is too long');
    const start = this.skip(length);
    const hex = Buffer.from(this.buffer.subarray(start, start + length))
      .reverse()
      .toString('hex');
    return length === 0 ? 0 : toNumber(BigInt.asIntN(length * 8, BigInt(`0x${hex}`)));
  }

  line(): string {
    const end = this.buffer.indexOf(0x0a, this.position);
    if (end < 0) throw new Error('it ends too early');
    const line = this.buffer.toString('latin1', this.position, end);
    this.position = end + 1;
    return line;
  }

  decimal(): number {
    const line = this.line();
    if (!/^\d{1,10}$/.test(line)) throw new Error('it has a malformed number');
    return Number(line);
  }

  /** Protocol 0 writes booleans as integers with a leading zero. */
  integerOrBoolean(): number | bigint | boolean {
    const line = this.line();
    return line === '01' ? true : line === '00' ? false : integer(line);
  }

  decimalLong(): number | bigint {
    return integer(this.line().replace(/L$/, ''));
  }

  decimalFloat(): number {
    const line = this.line();
    const special = { nan: NaN, inf: Infinity, '-inf': -Infinity }[line];
    if (special !== undefined) return special;
    if (line.length > 400 || !/^[+-]?\d+(\.\d*)?(e[+-]?\d+)?$/i.test(line)) throw new Error('it has a malformed number');
    return Number(line);
  }

  /** A string on a line of its own ("raw-unicode-escape"): Latin-1, and `\u` or `\U` for everything else. */
  escapedString(): string {
    return this.line().replace(/\\u([\da-fA-F]{4})|\\U([\da-fA-F]{8})/g, (_escape, short?: string, long?: string) => {
      const code = Number.parseInt(short ?? long ?? '', 16);
      if (code > 0x10ffff) throw new Error('it has a malformed string');
      return String.fromCodePoint(code);
    });
  }
}

function integer(digits: string): number | bigint {
  if (digits.length > MAX_DIGITS || !/^[+-]?\d+$/.test(digits)) throw new Error('it has a malformed number');
  return toNumber(BigInt(digits.replace(/^\+/, '')));
}

function toNumber(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
