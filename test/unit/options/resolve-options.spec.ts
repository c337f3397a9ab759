import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { stringifySetCookie } from 'cookie';
import { type ServerSessionOptions, SessionOptionsError, SessionSerializer } from 'nestjs-server-session';
import { toMilliseconds } from '../../../lib/common/option-reader.js';
import { resolveOptions } from '../../../lib/options/resolve-options.js';
import type { ResolvedSessionOptions } from '../../../lib/options/resolved-options.js';
import { MemorySessionRepository } from '../../../lib/repositories/memory/memory-session.repository.js';
import { FUZZ_RUNS } from '../../support/fuzz.js';
import { faultsOf, resolve } from '../../support/resolve-options.js';

const KEY = 'k'.repeat(32);

class Plain extends SessionSerializer {
  constructor(override readonly name: string) {
    super();
  }
  override serialize = String;
  override deserialize = String;
}

describe('The options', () => {
  it('have these defaults, spans of time in milliseconds', () => {
    expect(resolve({})).toMatchObject({
      type: 'null',
      permanent: true,
      lifetime: 31 * 24 * 60 * 60 * 1000,
      absoluteLifetime: undefined,
      secrets: [],
      encryption: undefined,
      keyPrefix: 'session:',
      hashIds: true,
      cookie: { name: 'session', domain: undefined, path: '/', httpOnly: true, secure: 'auto', sameSite: 'lax', partitioned: false },
      transport: { cookie: true, header: undefined },
      earlyLoad: false,
      touchInterval: 60_000,
      concurrency: 'merge',
      serializer: 'json',
      idBytes: 32,
      purgeInterval: 15 * 60_000,
      maxBytes: 65_536,
      storeTimeout: 2000,
      onStoreError: 'fail',
      regenerateGrace: 5000,
      regenerateOnPrincipalChange: true,
    });
    expect(resolveOptions()).toEqual(resolve({}));
  });

  it.each<[ServerSessionOptions, Partial<ResolvedSessionOptions>]>([
    [{ type: 'memory' }, { type: 'memory' }],
    [{ permanent: false }, { permanent: false }],
    [{ transport: 'cookie' }, { transport: { cookie: true, header: undefined } }],
    [{ transport: { header: 'X-Session-Id' } }, { transport: { cookie: false, header: 'x-session-id' } }],
    [{ transport: [{ header: 'x-id' }, 'cookie'] }, { transport: { cookie: true, header: 'x-id' } }],
    [{ earlyLoad: true }, { earlyLoad: true }],
    [{ lifetime: '20m' }, { lifetime: 1_200_000, touchInterval: 60_000 }],
    [{ lifetime: 20 }, { lifetime: 20_000, touchInterval: 2000 }],
    [{ lifetime: '20' }, { lifetime: 20_000 }],
    [{ lifetime: '31d' }, { lifetime: 31 * 86_400_000 }],
    [{ lifetime: 0.5 }, { lifetime: 500 }],
    [{ absoluteLifetime: '1y' }, { absoluteLifetime: 31_557_600_000 }],
    [{ useSigner: true, secret: 'a' }, { secrets: ['a'] }],
    [{ useSigner: true, secret: ['a', 'b'] }, { secrets: ['a', 'b'] }],
    [{ secret: 'a' }, { secrets: [] }],
    [{ encryption: { keys: [KEY, Buffer.alloc(32)] } }, { encryption: { keys: [KEY, Buffer.alloc(32)] } }],
    [{ keyPrefix: '' }, { keyPrefix: '' }],
    [{ hashIds: false }, { hashIds: false }],
    [{ touchInterval: 0 }, { touchInterval: 0 }],
    [{ touchInterval: '0' }, { touchInterval: 0 }],
    [{ concurrency: 'reject' }, { concurrency: 'reject' }],
    [{ serializer: 'msgpack' }, { serializer: 'msgpack' }],
    [{ idBytes: 16 }, { idBytes: 16 }],
    [{ idBytes: 64 }, { idBytes: 64 }],
    [{ purge: false }, { purgeInterval: false }],
    [{ purge: { interval: '1h' } }, { purgeInterval: 3_600_000 }],
    [{ maxBytes: 1 }, { maxBytes: 1 }],
    [{ storeTimeout: '500ms' }, { storeTimeout: 500 }],
    [{ onStoreError: 'degrade' }, { onStoreError: 'degrade' }],
    [{ regenerateGrace: 0 }, { regenerateGrace: 0 }],
    [{ regenerateOnPrincipalChange: false }, { regenerateOnPrincipalChange: false }],
    [{ repository: MemorySessionRepository }, { repository: MemorySessionRepository }],
    [{ memory: { maxEntries: 5 } }, { memory: { maxEntries: 5 } }],
  ])('%j is allowed', (given, expected) => expect(resolve(given)).toMatchObject(expected));

  it("take a serializer and a repository of the user's own", () => {
    const own = { serializer: new Plain('mine'), repository: new MemorySessionRepository() };
    expect(resolve(own)).toMatchObject(own);
  });

  const seconds = /'\w+(\.\w+)?' is .*; allowed: a (positive )?number(, 0 or more,)? of seconds, or a string as in '500ms', '20m', '14d'/;
  it.each<[object, string | RegExp]>([
    [{ type: 'reddis' }, `'type' is 'reddis'; allowed: 'null', 'memory', 'redis', 'memcached', 'filesystem', 'mongodb', 'typeorm'`],
    [{ type: null }, /^'type' is null; allowed: 'null'/],
    [{ permanent: 'yes' }, `'permanent' is 'yes'; allowed: true or false`],
    ...[0, '0', -1, '-5m', '', 'soon', Number.NaN, Number.POSITIVE_INFINITY, 1e12, '1000y', true, null, {}, '9'.repeat(200)].map(
      (lifetime): [object, RegExp] => [{ lifetime }, seconds],
    ),
    [{ absoluteLifetime: -1 }, seconds],
    [{ touchInterval: -1 }, seconds],
    [{ touchInterval: '31d' }, /^'touchInterval' is '31d'; allowed: less than 'lifetime'$/],
    [{ storeTimeout: '30d' }, /at most 24 days$/],
    [{ storeTimeout: 0 }, seconds],
    [{ purge: { interval: '30d' } }, /^'purge.interval' is '30d'; .*at most 24 days$/],
    [{ purge: true }, `'purge' is a boolean; allowed: an object`],
    [{ regenerateGrace: 'a while' }, seconds],
    [{ useSigner: true }, /^'secret' is undefined; allowed: .* because 'useSigner' is true$/],
    [{ useSigner: true, secret: [] }, /^'secret' is an empty list/],
    [{ secret: '' }, `'secret' is an empty string; allowed: a string that is not empty, or a list of such`],
    [{ secret: ['a', 1] }, /^'secret' is a list of 2/],
    [{ encryption: { keys: [] } }, `'encryption.keys' is an empty list; allowed: a list of one or more keys of at least 32 bytes`],
    [{ encryption: { keys: KEY } }, /^'encryption.keys' is a string/],
    [{ encryption: { keys: ['short'] } }, /^'encryption.keys' is a list of 1/],
    [{ encryption: { keys: [Buffer.alloc(31)] } }, /^'encryption.keys'/],
    [{ keyPrefix: 'a b' }, /^'keyPrefix' is 'a b'; allowed: a string of at most 100 visible ASCII characters$/],
    [{ keyPrefix: 'é' }, /^'keyPrefix'/],
    [{ hashIds: 1 }, `'hashIds' is 1; allowed: true or false`],
    [{ concurrency: 'last' }, `'concurrency' is 'last'; allowed: 'merge', 'overwrite', 'reject'`],
    [{ serializer: 'yaml' }, /^'serializer' is 'yaml'; allowed: 'json', 'msgpack' or a SessionSerializer/],
    [{ serializer: { name: 'x', serialize() {}, deserialize() {} } }, /^'serializer' is an object/],
    [{ serializer: new Plain('') }, /^'serializer' is an object/],
    [{ idBytes: 15 }, `'idBytes' is 15; allowed: a whole number from 16 to 64`],
    [{ idBytes: 65 }, /^'idBytes'/],
    [{ idBytes: '32' }, /^'idBytes' is '32'/],
    [{ maxBytes: 0 }, `'maxBytes' is 0; allowed: a whole number from 1`],
    [{ maxBytes: 1.5 }, /^'maxBytes'/],
    [{ onStoreError: 'ignore' }, `'onStoreError' is 'ignore'; allowed: 'fail', 'degrade'`],
    [{ repository: {} }, `'repository' is an object; allowed: a SessionRepository, or a class of one`],
    [{ repository: Map }, /^'repository' is the function Map/],
    [{ memory: 5 }, `'memory' is a number; allowed: an object`],
    [{ memory: { maxEntries: 0 } }, `'memory.maxEntries' is 0; allowed: a whole number from 1`],
    [{ filesystem: { mode: 0o444 } }, /^'filesystem.mode' is '0o444'/],
    [{ filesystem: { dir: '' } }, /^'filesystem.dir' is ''/],
    [{ redis: { url: 'http://localhost' } }, /^'redis.url' is 'http:\/\/…'; allowed: a URL/],
    [{ cookie: 'session' }, `'cookie' is a string; allowed: an object`],
    [{ lifetme: '20m' }, /^'lifetme' is not an option; allowed: absoluteLifetime, adopt, concurrency, cookie, /],
    [{ cookie: { maxAge: 5 } }, /^'cookie.maxAge' is not an option; allowed: domain, httpOnly, name, /],
  ])('%j is refused, and why', (given, fault) => {
    const faults = faultsOf(given);
    expect(faults.join('\n')).toMatch(fault);
    expect(faults).toHaveLength(1);
  });

  it.each([null, 'redis', 5, []])('that are %j are refused', (given) => {
    expect(() => resolve(given)).toThrow(/\[ServerSession\] an option is wrong:\n {2}- the options are .*; allowed: an object/);
  });

  it('are refused all at once, in one message', () => {
    const faulty = { type: 'x', lifetime: -1, cookie: { name: 'a b', path: 'x' }, idBytes: 1, typo: 1 };
    expect(faultsOf(faulty).map((fault) => fault.split(' ', 1)[0])).toEqual([
      "'lifetime'",
      "'type'",
      "'cookie.name'",
      "'cookie.path'",
      "'idBytes'",
      "'typo'",
    ]);
    expect(() => resolve(faulty)).toThrow(/^\[ServerSession\] 6 options are wrong:(\n {2}- '.*){6}$/);
  });

  it.each([
    { useSigner: true, secret: ['hunter2', 5] },
    { secrets: 'hunter2' },
    { secret: { current: 'hunter2' } },
    { encryption: 'hunter2' },
    { encryption: { key: 'hunter2' } },
    { encryption: { keys: ['hunter2'] } },
    { cookie: { secret: 'hunter2' } },
    { cookie: 'hunter2' },
    { redis: { url: 'http://user:hunter2@localhost' } },
    { redis: { url: 'http://user:a/hunter2@localhost?password=hunter2' } },
    { redis: 'redis://:hunter2@localhost' },
    { type: 'redis://:hunter2@localhost' },
    { lifetime: ['hunter2'] },
  ])('never show a secret in the message: %j', (given) => {
    expect(() => resolve(given)).toThrow(SessionOptionsError);
    expect(() => resolve(given)).toThrow(/^(?!.*hunter2)/s);
  });

  it('leave what they were given unchanged', () => {
    const given = Object.freeze({ cookie: Object.freeze({ name: 'a' }), purge: Object.freeze({ interval: 60 }) });
    expect(resolve(given).cookie.name).toBe('a');
  });
});

describe('The options of the cookie', () => {
  it.each<ServerSessionOptions['cookie'] & object>([
    { name: 'sid' },
    { name: '__Host-sid', secure: true },
    { name: '__Secure-sid', secure: true, domain: 'example.com', path: '/app' },
    { sameSite: 'none', secure: true },
    { sameSite: 'strict' },
    { partitioned: true, secure: true },
    { domain: '.example.com' },
    { domain: 'localhost' },
    { secure: false, httpOnly: false },
    { path: '/a b/c' },
  ])('may be %j', (cookie) => expect(resolve({ cookie }).cookie).toMatchObject(cookie));

  it.each<[object, string[]]>([
    [{ sameSite: 'none' }, [`'cookie.secure' is 'auto'; allowed: true, because 'cookie.sameSite' is 'none'`]],
    [{ sameSite: 'none', secure: false }, [`'cookie.secure' is false; allowed: true, because 'cookie.sameSite' is 'none'`]],
    [{ sameSite: 'None', secure: true }, [`'cookie.sameSite' is 'None'; allowed: 'lax', 'strict', 'none'`]],
    [{ partitioned: true }, [`'cookie.secure' is 'auto'; allowed: true, because 'cookie.partitioned' is true`]],
    [{ name: '__Secure-a' }, [`'cookie.secure' is 'auto'; allowed: true, because 'cookie.name' begins with __Secure-`]],
    [{ name: '__sEcUrE-a' }, [`'cookie.secure' is 'auto'; allowed: true, because 'cookie.name' begins with __Secure-`]],
    [
      { name: '__host-a', domain: 'example.com', path: '/app' },
      [
        `'cookie.secure' is 'auto'; allowed: true, because 'cookie.name' begins with __Host-`,
        `'cookie.domain' is 'example.com'; allowed: none, because 'cookie.name' begins with __Host-`,
        `'cookie.path' is '/app'; allowed: '/', because 'cookie.name' begins with __Host-`,
      ],
    ],
    [{ name: '' }, [`'cookie.name' is ''; allowed: a token of letters, digits and !#$%&'*+-.^_\`|~`]],
    [{ path: 'app' }, [`'cookie.path' is 'app'; allowed: a string that begins with /`]],
    [{ secure: 'yes' }, [`'cookie.secure' is 'yes'; allowed: true, false, 'auto'`]],
    [{ httpOnly: null }, [`'cookie.httpOnly' is null; allowed: true or false`]],
  ])('may not be %j', (cookie, faults) => expect(faultsOf({ cookie })).toEqual(faults));

  it.each(['a=b', 'a b', 'a;b', 'a\r\n', 'é', 'a"b', 5])('may not have the name %j', (name) =>
    expect(faultsOf({ cookie: { name } })).toHaveLength(1),
  );
  it.each(['/;', '/\r\nSet-Cookie: x', '/é', '/<', 5])('may not have the path %j', (path) =>
    expect(faultsOf({ cookie: { path } })).toHaveLength(1),
  );
  it.each(['a..b', 'a b', 'a;b', '-a', 'a-', 'http://a', `${'a'.repeat(64)}.com`, 'a:80'])('may not have the domain %j', (domain) =>
    expect(faultsOf({ cookie: { domain } })).toHaveLength(1),
  );

  it('that pass can be sent, whatever they are', () => {
    const text = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: fc.constantFrom('a', '.', '-', '/', '<', ';', '_') }));
    fc.assert(
      fc.property(text, text, text, (name, domain, path) => {
        const cookie = { name, domain, path: `/${path}` };
        const isRefused = faultsOf({ cookie }).length > 0;
        expect(isRefused || stringifySetCookie({ value: 'x', ...cookie }).startsWith(`${name}=x`)).toBe(true);
      }),
      { numRuns: FUZZ_RUNS * 3 },
    );
  });
});

describe('A span of time', () => {
  it.each<[unknown, number | undefined]>([
    [20, 20_000],
    [0, 0],
    [1.5, 1500],
    ['20', 20_000],
    ['1.5', 1500],
    ['500ms', 500],
    ['20m', 1_200_000],
    ['2 hours', 7_200_000],
    ['.5h', 1_800_000],
    ['31d', 2_678_400_000],
    ['', undefined],
    [' ', undefined],
    ['-1', undefined],
    ['-20m', undefined],
    [-1, undefined],
    [Number.NaN, undefined],
    [Number.POSITIVE_INFINITY, undefined],
    ['20 fortnights', undefined],
    ['1e3', undefined],
    ['1'.repeat(400), undefined],
    [null, undefined],
    [[20], undefined],
  ])('%j is %j milliseconds', (value, milliseconds) => expect(toMilliseconds(value)).toBe(milliseconds));
});

describe('How ids travel', () => {
  it.each<[unknown]>([
    [[]],
    ['header'],
    [['cookie', 'cookie']],
    [[{ header: 'a' }, { header: 'b' }]],
    [{ header: '' }],
    [{ header: 'Set-Cookie' }],
    [{ header: 'a b' }],
    [{ header: 'x-id', prefix: 'a' }],
    [null],
  ])('may not be %j', (transport) => {
    expect(faultsOf({ transport: transport as NonNullable<ServerSessionOptions['transport']> })).toEqual([
      expect.stringMatching(`^'transport' is .*; allowed: 'cookie', { header: 'x-session-id' }`),
    ]);
  });

  it('is early by true, false or a function, and by nothing else', () => {
    expect(faultsOf({ earlyLoad: 'yes' as unknown as boolean })).toEqual([
      "'earlyLoad' is 'yes'; allowed: true, false or a function of the request",
    ]);
  });

  it('has a cookie domain that may be a function, but not beside __Host-', () => {
    const domain = (): string => 'example.org';
    expect(faultsOf({ cookie: { domain } })).toEqual([]);
    expect(faultsOf({ cookie: { domain, name: '__Host-id', secure: true } })).toHaveLength(1);
  });
});
