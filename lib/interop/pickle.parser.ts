import { PickleReader } from './pickle.reader.js';
import {
  globalNamed,
  instantiate,
  PickledDict,
  PickledObject,
  PickledSet,
  type PickledGlobal,
  reduce,
  toPlainValue,
} from './pickle.values.js';

/** More is no session of a user, and has to be turned down before it costs anything. */
const MAX_STEPS = 200_000;

/** The operations of pickle protocols 0 to 5 that plain values are made of (see Python's `pickletools`). */
const OPERATIONS: ReadonlyMap<number, (machine: PickleMachine) => void> = new Map(
  Object.entries<(machine: PickleMachine) => void>({
    // Structure.
    '\x80': (m) => m.assertProtocol(m.reader.byte()),
    '\x95': (m) => m.reader.skip(8),
    '(': (m) => m.mark(),
    '0': (m) => m.pop(),
    '1': (m) => m.popToMark(),
    '2': (m) => m.push(m.top),
    // The memo, by which later parts refer to former ones.
    p: (m) => m.memo.set(m.reader.decimal(), m.top),
    q: (m) => m.memo.set(m.reader.byte(), m.top),
    r: (m) => m.memo.set(m.reader.uint32(), m.top),
    '\x94': (m) => m.memo.set(m.memo.size, m.top),
    g: (m) => m.recall(m.reader.decimal()),
    h: (m) => m.recall(m.reader.byte()),
    j: (m) => m.recall(m.reader.uint32()),
    // Values without parts.
    N: (m) => m.push(null),
    '\x88': (m) => m.push(true),
    '\x89': (m) => m.push(false),
    I: (m) => m.push(m.reader.integerOrBoolean()),
    J: (m) => m.push(m.reader.int32()),
    K: (m) => m.push(m.reader.byte()),
    M: (m) => m.push(m.reader.uint16()),
    L: (m) => m.push(m.reader.decimalLong()),
    '\x8a': (m) => m.push(m.reader.long(m.reader.byte())),
    '\x8b': (m) => m.push(m.reader.long(m.reader.uint32())),
    F: (m) => m.push(m.reader.decimalFloat()),
    G: (m) => m.push(m.reader.float64()),
    V: (m) => m.push(m.reader.escapedString()),
    X: (m) => m.push(m.reader.string(m.reader.uint32())),
    '\x8c': (m) => m.push(m.reader.string(m.reader.byte())),
    '\x8d': (m) => m.push(m.reader.string(m.reader.uint64())),
    B: (m) => m.push(m.reader.bytes(m.reader.uint32())),
    C: (m) => m.push(m.reader.bytes(m.reader.byte())),
    '\x8e': (m) => m.push(m.reader.bytes(m.reader.uint64())),
    '\x96': (m) => m.push(m.reader.bytes(m.reader.uint64())),
    // Lists and tuples.
    ']': (m) => m.push([]),
    l: (m) => m.push(m.popToMark()),
    a: (m) => m.append([m.pop()]),
    e: (m) => m.append(m.popToMark()),
    ')': (m) => m.push([]),
    t: (m) => m.push(m.popToMark()),
    '\x85': (m) => m.pushTuple(1),
    '\x86': (m) => m.pushTuple(2),
    '\x87': (m) => m.pushTuple(3),
    // Dictionaries and sets.
    '}': (m) => m.push(new PickledDict()),
    d: (m) => m.pushDict(m.popToMark()),
    s: (m) => m.setItems(m.take(2)),
    u: (m) => m.setItems(m.popToMark()),
    '\x8f': (m) => m.push(new PickledSet()),
    '\x90': (m) => m.addItems(m.popToMark()),
    '\x91': (m) => m.push(new PickledSet(m.popToMark())),
    // The few classes that stand for plain values.
    c: (m) => m.pushGlobal(m.reader.line(), m.reader.line()),
    '\x93': (m) => m.pushGlobal(...m.pair()),
    R: (m) => m.push(reduce(...m.pair())),
    '\x81': (m) => m.push(instantiate(...m.pair())),
    b: (m) => m.build(),
  }).map(([code, operation]) => [code.charCodeAt(0), operation]),
);

const STOP = '.'.charCodeAt(0);

/**
 * Reads what Python's `pickle` wrote, protocols 0 to 5, and builds plain values only: dictionaries become objects (Maps where a key
 * is no string), lists and tuples lists, sets Sets, bytes Uint8Arrays, dates Dates, integers past 2^53 BigInts, `Decimal` and `UUID`
 * strings. Nothing is imported and nothing is called: a class or a callable other than those is refused.
 *
 * @throws Error for anything else, saying what.
 */
export function parsePickle(bytes: Uint8Array): unknown {
  return toPlainValue(new PickleMachine(new PickleReader(bytes)).run());
}

/** The stack machine that a pickle is a program for. */
class PickleMachine {
  readonly memo = new Map<number, unknown>();
  private stack: unknown[] = [];
  /** The stacks below the marks. */
  private readonly outer: unknown[][] = [];

  constructor(readonly reader: PickleReader) {}

  run(): unknown {
    for (let steps = 0; steps < MAX_STEPS; steps++) {
      const code = this.reader.byte();
      if (code === STOP) return this.finish();
      const operation = OPERATIONS.get(code);
      if (operation === undefined) throw new Error(`its operation 0x${code.toString(16).padStart(2, '0')} makes no plain value`);
      operation(this);
    }
    throw new Error(`it takes more than ${MAX_STEPS} steps to read`);
  }

  get top(): unknown {
    if (this.stack.length === 0) throw new Error('its stack is empty');
    return this.stack.at(-1);
  }

  push(value: unknown): void {
    this.stack.push(value);
  }

  pop(): unknown {
    const { top } = this;
    this.stack.pop();
    return top;
  }

  take(count: number): unknown[] {
    if (this.stack.length < count) throw new Error('its stack is empty');
    return this.stack.splice(-count);
  }

  pair(): [unknown, unknown] {
    const [first, second] = this.take(2);
    return [first, second];
  }

  mark(): void {
    this.outer.push(this.stack);
    this.stack = [];
  }

  popToMark(): unknown[] {
    const items = this.stack;
    const below = this.outer.pop();
    if (below === undefined) throw new Error('it has no mark');
    this.stack = below;
    return items;
  }

  recall(index: number): void {
    if (!this.memo.has(index)) throw new Error('it refers to what is not there');
    this.push(this.memo.get(index));
  }

  pushTuple(length: number): void {
    this.push(this.take(length));
  }

  pushDict(items: readonly unknown[]): void {
    this.push(new PickledDict());
    this.setItems(items);
  }

  pushGlobal(module: unknown, name: unknown): void {
    this.push(globalNamed(module, name) satisfies PickledGlobal);
  }

  append(items: readonly unknown[]): void {
    const list = this.top;
    if (!Array.isArray(list)) throw new Error('it appends to what is no list');
    for (const item of items) list.push(item);
  }

  setItems(items: readonly unknown[]): void {
    const dict = this.top;
    if (!(dict instanceof PickledDict) || items.length % 2 !== 0) throw new Error('it sets items of what is no dictionary');
    for (let index = 0; index < items.length; index += 2) dict.entries.push([items[index], items[index + 1]]);
  }

  addItems(items: readonly unknown[]): void {
    const set = this.top;
    if (!(set instanceof PickledSet)) throw new Error('it adds to what is no set');
    for (const item of items) set.items.push(item);
  }

  /** Gives an object its state. */
  build(): void {
    const state = this.pop();
    const object = this.top;
    if (!(object instanceof PickledObject)) throw new Error('it builds an object of a class');
    object.state = state;
  }

  assertProtocol(version: number): void {
    if (version > 5) throw new Error(`its protocol is ${version}`);
  }

  private finish(): unknown {
    const value = this.pop();
    if (!this.reader.isAtEnd) throw new Error('it goes on after its end');
    return value;
  }
}
