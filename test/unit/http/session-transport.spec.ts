import { describe, expect, it } from '@jest/globals';
import { parseSetCookie } from 'cookie';
import { sign } from 'cookie-signature';
import fc from 'fast-check';
import type { ServerSessionOptions } from 'nestjs-server-session';
import type { HttpRequest } from '../../../lib/http/adapters.js';
import { type RequestIds, SessionTransport } from '../../../lib/http/session-transport.js';
import { resolveOptions } from '../../../lib/options/resolve-options.js';
import { SessionIds } from '../../../lib/session/session-id.js';
import { FUZZ_RUNS, growth, LINEAR, SIZES } from '../../support/fuzz.js';

const ids = new SessionIds({ idBytes: 32, hashIds: true });
const ID = ids.generate();
const OTHER = ids.generate();

/** The cookie of these options, as a request brings it and a response sets it. */
class Cookie {
  private readonly transport: SessionTransport;

  constructor(options: ServerSessionOptions = {}) {
    this.transport = new SessionTransport(resolveOptions(options), ids);
  }

  parse(header: string | undefined): RequestIds {
    return this.transport.read({ raw: requestWith({ cookie: header }) });
  }

  set(id: string, expiry: number | undefined, isHttps: boolean): string {
    const request = requestWith({}, isHttps);
    return this.transport.headersFor(request, request, 'set', id, expiry).setCookie ?? '';
  }

  clear(isHttps: boolean): string {
    const request = requestWith({}, isHttps);
    return this.transport.headersFor(request, request, 'clear', ID, Date.now() + 60_000).setCookie ?? '';
  }
}

function requestWith(headers: { cookie?: string | undefined }, encrypted = false): HttpRequest {
  return { headers, socket: { encrypted } } as unknown as HttpRequest;
}

const cookieOf = (options: ServerSessionOptions = {}): Cookie => new Cookie(options);
const signed = (...secret: string[]): Cookie => cookieOf({ useSigner: true, secret });
const plain = cookieOf();

const encoded = (value: string): string => encodeURIComponent(value);

describe('A Cookie header', () => {
  it.each<[string, string | undefined]>([
    ['none', undefined],
    ['empty', ''],
    ['of others', `a=1; b=${ID}`],
    ['without a value', 'session=; session'],
    ['with too short an id', `session=${ID.slice(0, 21)}`],
    ['with too long an id', `session=${ID}${ID}A`],
    ['with an id of other characters', `session=${'é'.repeat(ID.length)}`],
    ['with a path in place of an id', `session=${'../'.repeat(20).slice(0, ID.length)}`],
    ['with broken percent signs', `session=%E0%A4%A; session=%; session=${'%00'.repeat(ID.length)}`],
    ['with a similar name before it', `xsession=${ID}`],
    ['with a similar name after it', `session2=${ID}; session-id=${ID}; session.=${ID}`],
    ['with the name in another case', `Session=${ID}; SESSION=${ID}`],
    ['with the name inside a value', `a=session=${ID}`],
    ['with a signed id where none are signed', `session=${encoded(sign(ID, 'secret'))}`],
    ['with 64 KiB of one value', `session=${'A'.repeat(65_536)}`],
    ['with 64 KiB of semicolons', ';'.repeat(65_536)],
    ['with 64 KiB of the name', 'session='.repeat(8192)],
  ])('%s: no id', (_, header) => expect(plain.parse(header)).toEqual({ ids: [], outdated: [] }));

  it.each([
    ['alone', `session=${ID}`],
    ['among others', `a=1; session=${ID}; b=2`],
    ['without spaces', `a=1;session=${ID};b=2`],
    ['with spaces and tabs around', `a=1;\t session= \t${ID} \t; b`],
    ['after broken ones', `=; ;; session; session=; session=%; xsession=x; session=${ID}`],
    ['after twenty of the same name', `${'session=attacker; '.repeat(20)}session=${ID}`],
    ['before twenty of the same name', `session=${ID}${'; session=attacker'.repeat(20)}`],
    ['after a thousand of the same name', `${'session=attacker; '.repeat(1000)}session=${ID}`],
    ['twice', `session=${ID}; session=${ID}`],
    ['in double quotes', `session="${ID}"`],
    ['as clients of RFC 2109 send it', `$Version=1; session="${ID}"; $Path="/"; $Domain=".example.org"`],
    ['percent-encoded without need', `session=${ID.replace(/[A-Za-z]/, (letter) => `%${letter.charCodeAt(0).toString(16)}`)}`],
  ])('with the id %s: the id', (_, header) => expect(plain.parse(header).ids).toEqual([ID]));

  it('with several ids: all of them, in order', () => {
    expect(plain.parse(`session=${OTHER}; session=${ID}; session=${OTHER}`).ids).toEqual([OTHER, ID]);
  });

  it('with more ids than any browser sends: not all of them, as each costs a read', () => {
    const many = Array.from({ length: 500 }, () => `session=${ids.generate()}`).join('; ');
    expect(plain.parse(many).ids).toHaveLength(32);
  });

  const junk = fc
    .oneof(
      fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
      fc.string({ unit: fc.constantFrom('session', 'session=', '=', ';', '"', '%', ' ', '\t', ',', '\\', 'A', '.'), maxLength: 20 }),
    )
    .map((text) => text.replaceAll(ID, ''));

  it.each([
    ['plain', plain, ID],
    ['signed', signed('secret', 'former'), encoded(sign(ID, 'secret'))],
  ])('never throws, and the id is found wherever it stands: %s', (_, cookie, value) => {
    fc.assert(
      fc.property(fc.array(junk, { maxLength: 10 }), fc.array(junk, { maxLength: 10 }), (before, after) => {
        expect(cookie.parse([...before, ...after].join(';')).ids).toEqual([]);
        expect(cookie.parse([...before, `session=${value}`, ...after].join(';')).ids).toEqual([ID]);
      }),
      { numRuns: FUZZ_RUNS },
    );
  });

  it.each([
    ['pairs', 'session=x; '],
    ['pairs with signatures', `session=${encoded(`${ID}.${'A'.repeat(43)}`)}; `],
    ['equals signs', '='],
    ['names without an end', 'session='],
    ['spaces', 'session=                '],
    ['percent signs', 'session=%%%%%%;'],
  ])('of many %s takes time in proportion to its length', (_, part) => {
    const cookie = signed('secret', 'former');
    const header = (size: number): string => part.repeat(size / part.length);
    const headers = new Map(SIZES.map((size) => [size, header(size)] as const));
    expect(growth((size) => void cookie.parse(headers.get(size)))).toBeLessThan(LINEAR);
  });
});

describe('A signed cookie', () => {
  const rotated = signed('new', 'old', 'older');

  it('is read back', () => {
    const { value } = parseSetCookie(rotated.set(ID, undefined, false));
    expect(value).toBe(sign(ID, 'new'));
    expect(rotated.parse(`session=${encoded(value ?? '')}`)).toEqual({ ids: [ID], outdated: [] });
  });

  it.each(['old', 'older'])("that was signed with '%s' is read, and is to be sent again", (secret) => {
    expect(rotated.parse(`session=${encoded(sign(ID, secret))}`)).toEqual({ ids: [ID], outdated: [ID] });
  });

  it('may come without percent-encoding, and in double quotes', () => {
    expect(rotated.parse(`session=${sign(ID, 'new')}`).ids).toEqual([ID]);
    expect(rotated.parse(`$Version=1; session="${sign(ID, 'new')}"; $Path="/"`).ids).toEqual([ID]);
    expect(rotated.parse(`session="${encoded(sign(ID, 'new'))}"`).ids).toEqual([ID]);
  });

  it.each([
    ['no signature', ID],
    ['an empty signature', `${ID}.`],
    ['the signature of another secret', sign(ID, 'unknown')],
    ['the signature of another id', `${ID}${sign(OTHER, 'new').slice(ID.length)}`],
    ['a signature cut off', sign(ID, 'new').slice(0, -1)],
    ['a longer signature', `${sign(ID, 'new')}A`],
    ['padding', `${sign(ID, 'new')}=`],
    ['two signatures', `${sign(ID, 'new')}${sign(ID, 'new').slice(ID.length)}`],
    ['a signed value that is no id', sign('admin', 'new')],
  ])('with %s: no id', (_, value) => expect(rotated.parse(`session=${encoded(value)}`).ids).toEqual([]));
});

describe('A Set-Cookie header', () => {
  const soon = (): number => Date.now() + 60_000;

  it('has what the options say, and nothing else', () => {
    expect(plain.set(ID, undefined, false)).toBe(`session=${ID}; Path=/; HttpOnly; SameSite=Lax`);
  });

  it.each<[ServerSessionOptions['cookie'], boolean, string]>([
    [{}, true, 'session=ID; Path=/; HttpOnly; Secure; SameSite=Lax'],
    [{ name: 'sid' }, false, 'sid=ID; Path=/; HttpOnly; SameSite=Lax'],
    [{ domain: 'example.com' }, false, 'session=ID; Domain=example.com; Path=/; HttpOnly; SameSite=Lax'],
    [{ path: '/app' }, false, 'session=ID; Path=/app; HttpOnly; SameSite=Lax'],
    [{ httpOnly: false }, false, 'session=ID; Path=/; SameSite=Lax'],
    [{ sameSite: 'strict' }, false, 'session=ID; Path=/; HttpOnly; SameSite=Strict'],
    [{ sameSite: 'none', secure: true }, true, 'session=ID; Path=/; HttpOnly; Secure; SameSite=None'],
    [{ partitioned: true, secure: true }, true, 'session=ID; Path=/; HttpOnly; Secure; Partitioned; SameSite=Lax'],
  ])('for %j and secure %j', (cookie, secure, expected) => {
    expect(cookieOf({ cookie }).set('ID', undefined, secure)).toBe(expected);
  });

  it('has both forms of the expiry where there is one', () => {
    const expiry = soon();
    const { maxAge, expires } = parseSetCookie(plain.set(ID, expiry, false));
    expect(maxAge).toBeGreaterThanOrEqual(59);
    expect(maxAge).toBeLessThanOrEqual(60);
    expect(expires).toEqual(new Date(Math.floor(expiry / 1000) * 1000));
    expect(parseSetCookie(plain.set(ID, Date.now() - 5000, false)).maxAge).toBe(0);
    expect(plain.set(ID, Date.now() + 100 * 365.25 * 86_400_000, false)).toContain('Max-Age=3155760000');
  });

  it('that clears names the same cookie: same attributes, no value, no time left', () => {
    const cookie: ServerSessionOptions['cookie'] = {
      name: 'sid',
      domain: 'example.com',
      path: '/app',
      sameSite: 'none',
      secure: true,
      partitioned: true,
    };
    const { value: _id, ...set } = parseSetCookie(cookieOf({ cookie }).set(ID, undefined, true));
    const { value, maxAge, expires, ...cleared } = parseSetCookie(cookieOf({ cookie }).clear(true));
    expect(cleared).toEqual(set);
    expect([value, maxAge, expires]).toEqual(['', 0, new Date(0)]);
  });
});
