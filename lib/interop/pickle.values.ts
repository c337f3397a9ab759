import { put } from '../storage/tagged-values.js';

/** Deeper is no session of a user. */
export const MAX_DEPTH = 100;
/** A pickle can refer to one part many times; each time it counts. */
const MAX_VALUES = 100_000;

/** A dictionary while its entries still come. */
export class PickledDict {
  readonly entries: [key: unknown, value: unknown][] = [];
}

/** A set while its items still come. */
export class PickledSet {
  constructor(readonly items: unknown[] = []) {}
}

/** An object of one of the known classes, before it has its state. */
export class PickledObject {
  state: unknown;
}

/** A name that a pickle refers to. There is nothing behind it but what `reduce` knows of it. */
export class PickledGlobal {
  constructor(readonly name: string) {}
}

/** A difference from UTC, in milliseconds; only as part of a date. */
class Offset {
  constructor(readonly milliseconds: number) {}
}

type Call = (args: readonly unknown[]) => unknown;

/** What a pickle may refer to, and what becomes of it when it is called. All others are refused as soon as they are named. */
const CALLS: Readonly<Record<string, Call>> = {
  'datetime.datetime': ([state, zone]) => dateTime(bytesOf(state), zone === undefined || zone === null ? 0 : offsetOf(zone)),
  'datetime.date': ([state]) => date(bytesOf(state)),
  'datetime.timedelta': ([days, seconds, microseconds]) =>
    new Offset((numberOf(days) * 86_400 + numberOf(seconds)) * 1000 + numberOf(microseconds) / 1000),
  'datetime.timezone': ([offset]) => new Offset(offsetOf(offset)),
  'pytz._UTC': () => new Offset(0),
  'builtins.set': ([items]) => new PickledSet(listOf(items)),
  'builtins.frozenset': ([items]) => new PickledSet(listOf(items)),
  'builtins.bytes': (args) => bytesFrom(args),
  'builtins.bytearray': (args) => bytesFrom(args),
  '_codecs.encode': ([text, encoding]) => encodeLatin1(text, encoding),
  'collections.OrderedDict': (args) => orderedDict(args),
  'decimal.Decimal': ([digits]) => decimal(digits),
  'uuid.UUID': (args) => uuidObject(args),
  'copyreg._reconstructor': ([type]) => uuidObject([], type),
  'builtins.object': () => refuse('object'),
};

/** The names that modules have in protocols 0 to 2, which Python 2 could read. */
const FORMER_MODULES: Readonly<Record<string, string>> = { __builtin__: 'builtins', copy_reg: 'copyreg' };

export function globalNamed(module: unknown, name: unknown): PickledGlobal {
  if (typeof module !== 'string' || typeof name !== 'string') throw new Error('it refers to a name that is no string');
  const full = `${Object.hasOwn(FORMER_MODULES, module) ? FORMER_MODULES[module] : module}.${name}`;
  if (!Object.hasOwn(CALLS, full)) refuse(full);
  return new PickledGlobal(full);
}

/** What a call of a known name makes. */
export function reduce(callable: unknown, args: unknown): unknown {
  if (!(callable instanceof PickledGlobal) || !Array.isArray(args)) throw new Error('it calls what is no known name');
  return CALLS[callable.name]?.(args as unknown[]);
}

/** A new object of a known class, whose state comes later. */
export function instantiate(type: unknown, args: unknown): unknown {
  if (!Array.isArray(args)) throw new Error('it makes an object without arguments');
  return uuidObject(args as unknown[], type);
}

/** The value that a pickle has described: everything in it is plain, of bounded size, and not shared. */
export function toPlainValue(value: unknown): unknown {
  let count = 0;
  const convert = (part: unknown, depth: number): unknown => {
    if (depth > MAX_DEPTH) throw new Error(`it contains itself or is nested too deeply (more than ${MAX_DEPTH} levels)`);
    if (++count > MAX_VALUES) throw new Error(`it has more than ${MAX_VALUES} values`);
    if (typeof part !== 'object' || part === null || part instanceof Uint8Array || part instanceof Date) return part;
    if (Array.isArray(part)) return part.map((item) => convert(item, depth + 1));
    if (part instanceof PickledDict) {
      return fromEntries(part.entries.map(([key, item]) => [convert(key, depth + 1), convert(item, depth + 1)]));
    }
    if (part instanceof PickledSet) return new Set(part.items.map((item) => convert(item, depth + 1)));
    if (part instanceof PickledObject) return uuid(part);
    return refuse(part instanceof PickledGlobal ? part.name : 'datetime.timedelta');
  };
  return convert(value, 1);
}

/** An object where all keys are strings, else a Map. */
export function fromEntries(entries: [unknown, unknown][]): Record<string, unknown> | Map<unknown, unknown> {
  if (!entries.every(([key]) => typeof key === 'string')) return new Map(entries);
  const object: Record<string, unknown> = {};
  for (const [key, value] of entries) put(object, key as string, value);
  return object;
}

function refuse(name: string): never {
  throw new Error(`it refers to the class or callable ${/^[\w.]{1,100}$/.test(name) ? name : 'of an odd name'}`);
}

/** Ten bytes: year, month, day, hour, minute, second and microseconds. One without a time zone is taken as UTC, as Flask does. */
function dateTime(bytes: Uint8Array, offset: number): Date {
  if (bytes.length !== 10) throw new Error('it has a malformed datetime');
  const [y1 = 0, y2 = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, u1 = 0, u2 = 0, u3 = 0] = bytes;
  const milliseconds = Math.floor(((u1 << 16) | (u2 << 8) | u3) / 1000);
  // The first bit of the month tells the two hours of a change of clocks apart.
  return validDate(y1 * 256 + y2, month & 0x7f, day, [hour, minute, second, milliseconds], offset);
}

/** Four bytes: year, month and day. The beginning of that day in UTC. */
function date(bytes: Uint8Array): Date {
  if (bytes.length !== 4) throw new Error('it has a malformed date');
  const [y1 = 0, y2 = 0, month = 0, day = 0] = bytes;
  return validDate(y1 * 256 + y2, month, day, [0, 0, 0, 0], 0);
}

function validDate(year: number, month: number, day: number, time: [number, number, number, number], offset: number): Date {
  const value = new Date(0);
  // Unlike `Date.UTC` these take the years 0 to 99 as they are.
  value.setUTCFullYear(year, month - 1, day);
  value.setUTCHours(...time);
  if (value.getUTCMonth() !== month - 1 || value.getUTCDate() !== day) throw new Error('it has a malformed date');
  return new Date(value.getTime() - offset);
}

function decimal(digits: unknown): string {
  if (typeof digits === 'string' && /^[+-]?[\w.+-]{1,1000}$/.test(digits)) return digits;
  throw new Error('it has a malformed Decimal');
}

function orderedDict(args: readonly unknown[]): PickledDict {
  if (args.length > 0) throw new Error('it has a malformed OrderedDict');
  return new PickledDict();
}

function uuidObject(args: readonly unknown[], type: unknown = new PickledGlobal('uuid.UUID')): PickledObject {
  if (!(type instanceof PickledGlobal) || type.name !== 'uuid.UUID' || args.length > 0) {
    refuse(type instanceof PickledGlobal ? type.name : 'unknown');
  }
  return new PickledObject();
}

function uuid({ state }: PickledObject): string {
  const value: unknown = state instanceof PickledDict ? state.entries.find(([key]) => key === 'int')?.[1] : undefined;
  if (typeof value !== 'number' && typeof value !== 'bigint') throw new Error('it has a malformed UUID');
  const hex = BigInt.asUintN(128, BigInt(value)).toString(16).padStart(32, '0');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

function encodeLatin1(text: unknown, encoding: unknown): Uint8Array {
  // How protocols 0 to 2 write bytes.
  if (typeof text !== 'string' || encoding !== 'latin1') throw new Error('it has malformed bytes');
  return Uint8Array.from(Buffer.from(text, 'latin1'));
}

function bytesFrom(args: readonly unknown[]): Uint8Array {
  return args.length === 0 ? new Uint8Array(0) : bytesOf(args[0]);
}

function bytesOf(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  throw new Error('it has malformed bytes');
}

function listOf(value: unknown): unknown[] {
  if (value === undefined) return [];
  if (Array.isArray(value)) return value as unknown[];
  throw new Error('it has a malformed set');
}

function numberOf(value: unknown): number {
  if (typeof value === 'number') return value;
  throw new Error('it has a malformed timedelta');
}

function offsetOf(zone: unknown): number {
  if (zone instanceof Offset) return zone.milliseconds;
  throw new Error('it has a malformed time zone');
}
