import { beforeAll, describe, expect, it } from '@jest/globals';
import { isNativeError } from 'node:util/types';
import { parsePickle } from '../../lib/interop/pickle.parser.js';
import { runPython } from './support/python.js';

const VALUES = `
import base64, collections, datetime, decimal, json, pickle, uuid

utc2 = datetime.timezone(datetime.timedelta(hours=2))
shared = ['x']
VALUES = {
    'none': None, 'yes': True, 'no': False,
    'small': 5, 'byte': 255, 'word': 300, 'int': 70000, 'negative': -5, 'long': 2**40, 'big': 2**70, 'minus': -2**70, 'min': -128,
    'float': 1.5, 'inf': float('inf'),
    'text': 'a\\u20ac\\\\\\n\\U0001F600', 'empty': '', 'much': 'x' * 300,
    'list': [1, 2, (3, 'x'), [], ()], 'items': ['q'] * 20, 'shared': [shared, shared],
    'dict': {'k': {'y': [{'z': 1}]}}, 'numbered': {1: 'a', 2: 'b'}, '__proto__': {'polluted': True}, 'ordered': collections.OrderedDict(a=1),
    'set': {1, 2}, 'no_set': set(), 'frozen': frozenset(['a']),
    'bytes': b'\\xff\\x00', 'no_bytes': b'', 'bytearray': bytearray(b'ab'),
    'aware': datetime.datetime(2026, 11, 25, 7, 8, 9, 123456, tzinfo=utc2),
    'utc': datetime.datetime(2026, 11, 25, 7, 8, 9, tzinfo=datetime.timezone.utc),
    'naive': datetime.datetime(2026, 11, 25, 7, 8, 9), 'fold': datetime.datetime(2026, 10, 25, 2, 30, fold=1), 'day': datetime.date(2026, 1, 2),
    'decimal': decimal.Decimal('1.50'), 'uuid': uuid.UUID('12345678-1234-5678-1234-567812345678'),
}
print(json.dumps([base64.b64encode(pickle.dumps(VALUES, protocol)).decode() for protocol in range(6)]))
`;

const ordinary = {
  none: null,
  yes: true,
  no: false,
  small: 5,
  byte: 255,
  word: 300,
  int: 70000,
  negative: -5,
  long: 2 ** 40,
  big: 2n ** 70n,
  minus: -(2n ** 70n),
  min: -128,
  float: 1.5,
  inf: Infinity,
  text: 'a€\\\n\u{1F600}',
  empty: '',
  much: 'x'.repeat(300),
  list: [1, 2, [3, 'x'], [], []],
  items: Array.from({ length: 20 }, () => 'q'),
  shared: [['x'], ['x']],
  dict: { k: { y: [{ z: 1 }] } },
  numbered: new Map([
    [1, 'a'],
    [2, 'b'],
  ]),
  ['__proto__']: { polluted: true },
  ordered: { a: 1 },
  set: new Set([1, 2]),
  no_set: new Set(),
  frozen: new Set(['a']),
  bytes: Uint8Array.of(255, 0),
  no_bytes: new Uint8Array(0),
  bytearray: Uint8Array.of(97, 98),
  aware: new Date('2026-11-25T05:08:09.123Z'),
  utc: new Date('2026-11-25T07:08:09Z'),
  naive: new Date('2026-11-25T07:08:09Z'),
  fold: new Date('2026-10-25T02:30:00Z'),
  day: new Date('2026-01-02T00:00:00Z'),
  decimal: '1.50',
  uuid: '12345678-1234-5678-1234-567812345678',
};

/** What runs code, or would, when Python reads it. */
const MALICIOUS = `
import base64, builtins, functools, json, os, pickle, subprocess, datetime, copyreg, types

class Reduce:
    def __init__(self, *how): self.how = how
    def __reduce__(self): return self.how

class Plain:
    def __init__(self): self.a = 1

class State:
    __slots__ = ()
    def __reduce__(self): return (Plain, (), {'__proto__': 1})

Plain.__module__ = State.__module__ = Reduce.__module__ = '__main__'
OBJECTS = {
    'os.system': Reduce(os.system, ('true',)),
    'eval': Reduce(eval, ('1',)),
    'getattr': Reduce(getattr, ('', 'join')),
    'subprocess': Reduce(subprocess.Popen, (('true',),)),
    'instance': Plain(),
    'state': State(),
    'class': Plain,
    'function': len,
    'module': Reduce(__import__, ('os',)),
    'partial': functools.partial(len, []),
    'timedelta': datetime.timedelta(1),
    'time': datetime.time(1),
    'complex': 1j,
    'exception': ValueError('x'),
}
out = {}
for name, value in OBJECTS.items():
    for protocol in range(6):
        out[f'{name}, protocol {protocol}'] = base64.b64encode(pickle.dumps({'user_id': value}, protocol)).decode()
print(json.dumps(out))
`;

const REFUSED: [title: string, pickle: string | Buffer, reason: string][] = [
  ['a list that contains itself', ']q\x00h\x00a.', 'it contains itself or is nested too deeply'],
  ['a dictionary that contains itself', '}q\x00K\x01h\x00s.', 'it contains itself or is nested too deeply'],
  ['a thousand lists in one another', `${']'.repeat(1000)}${'a'.repeat(999)}.`, 'nested too deeply'],
  ['lists that refer to one another so that they grow without bound', `]q\x00${grow(40)}.`, 'it has more than 100000 values'],
  ['more steps than a session takes', Buffer.from(`(${'N'.repeat(300_000)}l.`), 'it takes more than 200000 steps'],
  ['an integer of a million digits', `L${'9'.repeat(1_000_000)}L\n.`, 'it has a malformed number'],
  ['a long of a million bytes', Buffer.concat([Buffer.from([0x8b, 0x40, 0x42, 0x0f, 0]), Buffer.alloc(1_000_001)]), 'too long'],
  ['a length past the end', Buffer.from([0x8d, 255, 255, 255, 255, 255, 255, 255, 255, 0x2e]), 'it ends too early'],
  ['a persistent id', 'Pabc\n.', 'its operation 0x50 makes no plain value'],
  ['an extension code', '\x82\x01.', 'its operation 0x82 makes no plain value'],
  ['an instance of protocol 0', '(i__main__\nPlain\n.', 'its operation 0x69 makes no plain value'],
  ['a buffer out of band', '\x97.', 'its operation 0x97 makes no plain value'],
  ['a protocol of the future', '\x80\x06N.', 'its protocol is 6'],
  ['a name by way of the prototype', 'cconstructor\nprototype\n.', 'it refers to the class or callable constructor.prototype'],
  ['a call of what is no name', ']]R.', 'it calls what is no known name'],
  ['a state for what is no object', '}}b.', 'it builds an object of a class'],
  ['a string that is no UTF-8', Buffer.from([0x8c, 2, 0xff, 0xff, 0x2e]), 'The encoded data was not valid'],
  ['a day that is in no calendar', Buffer.from('cdatetime\ndate\nC\x04\x07\xea\x02\x1f\x85R.', 'latin1'), 'it has a malformed date'],
];

describe('parsePickle', () => {
  let pickles: Buffer[];

  beforeAll(async () => {
    pickles = (await runPython<string[]>(VALUES)).map(fromBase64);
  });

  for (const protocol of [0, 1, 2, 3, 4, 5])
    it(`reads every plain value of protocol ${protocol}`, () => {
      const value = parsePickle(pickles[protocol]!);
      expect(value).toEqual(ordinary);
      expect(Object.hasOwn(value as object, '__proto__')).toBe(true);
      expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
    });

  it('refuses every class and callable that it does not know, and calls none', async () => {
    const malicious = Object.entries(await runPython<Record<string, string>>(MALICIOUS));
    expect(malicious).toHaveLength(84);
    expect(malicious.filter(([, base64]) => !isRefused(fromBase64(base64)))).toEqual([]);
  });

  it('refuses every beginning of a pickle, and every pickle that goes on', () => {
    for (const pickle of pickles) {
      const beginnings = Array.from({ length: pickle.length }, (_unused, length) => pickle.subarray(0, length));
      expect(beginnings.every(isRefused)).toBe(true);
      expect(isRefused(Buffer.concat([pickle, Buffer.from('.')]))).toBe(true);
    }
  });

  it('gives a plain value or an error for every pickle with a byte changed', () => {
    for (const pickle of pickles) {
      for (let index = 0; index < pickle.length; index++) {
        const changed = Buffer.from(pickle);
        changed[index] = changed[index]! ^ (1 + ((index * 37) % 255));
        const outcome = outcomeOf(changed);
        if (!isNativeError(outcome)) assertPlain(outcome);
      }
    }
    expect(Object.keys(Object.prototype)).toEqual([]);
  });

  for (const [title, pickle, reason] of REFUSED)
    it(`refuses ${title}`, () => {
      expect(() => parsePickle(typeof pickle === 'string' ? Buffer.from(pickle, 'latin1') : pickle)).toThrow(reason);
    });
});

/** Each list holds the one before twice. */
function grow(times: number): string {
  return Array.from({ length: times }, (_unused, index) => `](h${char(index)}h${char(index)}eq${char(index + 1)}`).join('');
}

function char(code: number): string {
  return String.fromCharCode(code);
}

function fromBase64(text: string): Buffer {
  return Buffer.from(text, 'base64');
}

function outcomeOf(pickle: Buffer): unknown {
  try {
    return parsePickle(pickle);
  } catch (error) {
    return error;
  }
}

function isRefused(pickle: Buffer): boolean {
  return isNativeError(outcomeOf(pickle));
}

function assertPlain(value: unknown): void {
  if (typeof value === 'function' || typeof value === 'symbol' || value === undefined) throw new Error(`${typeof value} is not plain`);
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array || value instanceof Date) return;
  if (value instanceof Map) for (const entry of value) entry.forEach(assertPlain);
  else if (Array.isArray(value) || value instanceof Set) value.forEach(assertPlain);
  else {
    if (Object.getPrototypeOf(value) !== Object.prototype) throw new Error('an object of a class is not plain');
    Object.values(value).forEach(assertPlain);
  }
}
