import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { display, printable, reasonOf, redactedError } from '../../../lib/common/redact.js';
import { SessionSerializationError, SessionStoreError, UnreadableRecordError } from '../../../lib/errors.js';
import { FUZZ_RUNS } from '../../support/fuzz.js';
import { shown } from '../../support/shown.js';

const HANDLE = 'qD3xW8zmS0n7tU5vYk2bR9cL4fJ6hG1pNaEoIiTyXeQ';
const PAYLOAD = Buffer.from('{"v":1,"s":"json","f":[[".card",11],[".pin",6]]}\n"4111-1111""9876"');

/** As the clients of the back ends throw them. */
const CLIENTS: [string, () => unknown][] = [
  [
    'ioredis',
    () =>
      Object.assign(new Error("OOM command not allowed when used memory > 'maxmemory'."), {
        name: 'ReplyError',
        command: { name: 'set', args: [`session:${HANDLE}`, PAYLOAD] },
        previousErrors: [new Error(PAYLOAD.toString())],
      }),
  ],
  [
    'TypeORM',
    () =>
      Object.assign(new Error(`Duplicate entry '${HANDLE}' for key 'PRIMARY'`), {
        name: 'QueryFailedError',
        query: 'INSERT INTO sessions VALUES (?, ?)',
        parameters: [HANDLE, PAYLOAD],
        driverError: Object.assign(new Error(PAYLOAD.toString()), { sql: PAYLOAD.toString() }),
        code: 'ER_DUP_ENTRY',
        errno: 1062,
      }),
  ],
  [
    'PostgreSQL',
    () => Object.assign(new Error('value too long'), { code: '22001', detail: `Failing row contains (${HANDLE}).`, where: '4111-1111' }),
  ],
  [
    'MongoDB',
    () =>
      Object.assign(new Error(`E11000 duplicate key error collection: app.sessions index: _id_ dup key: { _id: "${HANDLE}" }`), {
        name: 'MongoServerError',
        code: 11000,
        errorResponse: { keyValue: { _id: HANDLE } },
        writeErrors: [{ err: { op: { payload: PAYLOAD } } }],
      }),
  ],
  [
    'Node',
    () =>
      Object.assign(new Error(`ENOSPC: no space left on device, open '/srv/sessions/qD/${HANDLE}.7'`), {
        code: 'ENOSPC',
        path: `/srv/sessions/qD/${HANDLE}.7`,
      }),
  ],
  ['Memcached', () => Object.assign(new Error('SERVER_ERROR'), { cmdTokens: ['SERVER_ERROR', HANDLE], results: PAYLOAD })],
  ['a string', () => `cannot store ${PAYLOAD.toString()} as ${HANDLE}`],
  ['an object', () => ({ [HANDLE]: PAYLOAD.toString() })],
  ['a nested cause', () => new Error('outer', { cause: new Error(PAYLOAD.toString(), { cause: HANDLE }) })],
  ['an AggregateError', () => new AggregateError([new Error(`write ${PAYLOAD.toString()}`)])],
  [
    'an error with getters that throw',
    () =>
      Object.defineProperty({}, 'message', {
        get: () => {
          throw new Error(HANDLE);
        },
      }),
  ],
  ['an error that hides its data in its name', () => Object.assign(new Error('failed'), { name: HANDLE, code: '9876' })],
];

describe('An error of a client', () => {
  it.each(CLIENTS)('leaves nothing of the session in ours: %s', (_, make) => {
    const error = new SessionStoreError('update a session', make(), HANDLE, PAYLOAD);
    expect(shown(error)).not.toMatch(/qD3xW8zm|4111|9876|card/);
    expect(error.message).toMatch(/^\[ServerSession\] the session store failed to update a session: ./);
  });

  it('is told by its name, code and message', () => {
    const [, redis] = CLIENTS[0]!;
    const error = new SessionStoreError('create a session', redis(), HANDLE, PAYLOAD);
    expect(error.message).toContain("OOM command not allowed when used memory > 'maxmemory'.");
    expect(error.cause).toMatchObject({ name: 'ReplyError', message: "OOM command not allowed when used memory > 'maxmemory'." });
    expect(redactedError(CLIENTS[1]![1]())).toMatchObject({ name: 'QueryFailedError', code: 'ER_DUP_ENTRY', message: 'Duplicate entry …' });
    expect(redactedError(CLIENTS[4]![1]())).toMatchObject({ code: 'ENOSPC' });
    expect(reasonOf(CLIENTS[4]![1]())).toMatch(/^ENOSPC: no space left on device, open '\/srv\/sessions\/qD\/…/);
  });

  it.each([
    'connect ECONNREFUSED 127.0.0.1:6379',
    "READONLY You can't write against a read only replica.",
    'getaddrinfo ENOTFOUND redis.example.com',
    'Server selection timed out after 2000 ms',
    'cannot execute UPDATE in a read-only transaction',
    'too many connections for role',
    'MISCONF Redis is configured to save RDB snapshots, but it is currently unable to persist to disk',
    "no connection to Redis within 2000 ms (its state is 'connecting')",
  ])('keeps what an operator needs: %s', (message) => expect(reasonOf(new Error(message), HANDLE, PAYLOAD)).toBe(message));

  it.each([
    [
      'several addresses',
      new AggregateError([new Error('connect ECONNREFUSED ::1:6379'), new Error('other')], ''),
      /^connect ECONNREFUSED/,
    ],
    ['a code only', Object.assign(new Error(''), { code: 'ETIMEDOUT' }), /^ETIMEDOUT$/],
    ['nothing', undefined, /^undefined was thrown$/],
    ['a symbol', Symbol('x'), /^a symbol was thrown$/],
  ])('says something of %s', (_, cause, reason) => expect(reasonOf(cause)).toMatch(reason));

  it.each([
    'redis://user:hunter2@localhost:6379',
    'connect to redis://:hunter2@localhost failed',
    'user:hunter2@localhost:6379',
    'bad address redis:hunter2@host',
    "user:hun'ter2@tcp(db:3306)/app",
    'mongodb://localhost/?password=hunter2',
  ])('never tells the password of a URL: %s', (message) => expect(reasonOf(new Error(message))).not.toMatch(/hunter2|ter2/));

  it('is one line, however long and whatever it holds', () => {
    const reason = reasonOf(new Error(`one\ntwo\u001b[31m\u2028three ${'and so on '.repeat(10_000)}`));
    expect(reason).toMatch(/^one two \[31m three and/);
    expect(reason.length).toBeLessThan(310);
  });
});

describe('Whatever an error looks like,', () => {
  /** Values of a session as they may be found again: words of some length. */
  const secrets = fc.array(fc.stringMatching(/^[A-Za-z0-9]{8,24}$/), { minLength: 1, maxLength: 3 });
  const keys = fc.constantFrom(
    'message',
    'name',
    'code',
    'command',
    'args',
    'parameters',
    'cause',
    'errors',
    'stack',
    'query',
    'path',
    'x',
  );

  const errorsAround = (leaf: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
    fc.letrec<{ node: unknown }>((tie) => ({
      node: fc.oneof(
        { maxDepth: 4 },
        leaf,
        leaf.map((value) => Buffer.from(String(value))),
        fc.array(tie('node'), { maxLength: 3 }),
        fc.dictionary(keys, tie('node'), { maxKeys: 4 }),
        fc
          .tuple(fc.constantFrom(Error, TypeError, RangeError), leaf, fc.dictionary(keys, tie('node'), { maxKeys: 4 }))
          .map(([Type, message, props]) => {
            const error = new Type(`failed on ${String(message)}`, { cause: props['cause'] });
            // Made now: later it would ask for a name that may be no string.
            void error.stack;
            for (const [key, value] of Object.entries(props)) Object.defineProperty(error, key, { value, enumerable: key !== 'message' });
            return error;
          }),
        leaf.map((value) => new AggregateError([new Error(String(value))], '')),
      ),
    })).node;

  const cases = secrets.chain((words) => {
    const leaf = fc.oneof(
      fc.constantFrom(...words),
      fc.constantFrom(...words).map((word) => `'${word}'`),
      fc.constantFrom(...words).map((word) => `{"user":"${word}"}`),
      fc.constantFrom(...words).map((word) => `session:${word}\nvalue ${word}`),
    );
    return fc.tuple(fc.constant(words), errorsAround(leaf));
  });

  it('nothing of the session is in ours, to any depth', () => {
    fc.assert(
      fc.property(cases, ([words, cause]) => {
        // A word such as `property`, which is the name of a function on the stack, says nothing of a session.
        const { stack = '' } = new Error('here');
        fc.pre(!words.some((word) => stack.includes(word)));
        const record = Buffer.from(JSON.stringify(words));
        for (const error of [
          new SessionStoreError('update a session', cause, record),
          new UnreadableRecordError('it is damaged', redactedError(cause, record)),
          new SessionSerializationError('key', `cannot be serialized: ${reasonOf(cause, words)}`, redactedError(cause, words)),
        ]) {
          const everything = shown(error);
          for (const word of words) expect(everything).not.toContain(word);
        }
      }),
      { numRuns: FUZZ_RUNS },
    );
  });

  it('is told in one line', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (message) => expect(reasonOf(new Error(message))).toMatch(/^[^\p{Cc}]+$/u)),
      { numRuns: FUZZ_RUNS },
    );
  });
});

describe('A value in a message about options', () => {
  it.each([
    'redis://:hunter2@localhost',
    'http://user:a/hunter2@localhost?password=hunter2',
    'user:hunter2@host:6379',
    'redis:hunter2@host',
    'hunter2@host',
    'redis:hunter2',
    'user:hunter2@tcp(localhost:3306)/db',
    'mysql:host=db;password=hunter2',
    'Server=db;Pwd=hunter2',
    'a\nhunter2@b',
  ])('never shows a password: %j', (value) => expect(display(value)).not.toMatch(/hunter2/));

  it.each<[unknown, string]>([
    ['reddis', "'reddis'"],
    ['', "''"],
    ['localhost:99999', "'localhost:99999'"],
    ['http://localhost', "'http://…'"],
    [15, '15'],
    [null, 'null'],
    [{ secret: 'hunter2' }, 'an object'],
    [['hunter2'], 'a list of 1'],
    [Map, 'the function Map'],
    ['x'.repeat(100), `'${'x'.repeat(60)}…'`],
    ['a\u001b[31mb\nc', "'a [31mb c'"],
  ])('%j is shown as %s', (value, text) => expect(display(value)).toBe(text));
});

describe('A printable string', () => {
  it('has no control characters and is cut', () => {
    expect(printable('a\0b\r\nc\u2028d\u202ee', 20)).toBe('a b c d e');
    expect(printable('x'.repeat(5_000_000), 10)).toBe(`${'x'.repeat(10)}…`);
  });
});
