import { kindOf } from '../common/redact.js';
import { SessionOptionsError } from '../errors.js';
import type { FormerSessions } from '../interop/former-sessions.js';
import { type BackEndOptions, type GivenBackEnds, SESSION_TYPES } from '../repositories/back-ends.js';
import { SessionRepository } from '../repositories/session-repository.js';
import { SessionSerializer } from '../storage/serializers.js';
import { isObject, MAX_TIMER, OptionReader } from '../common/option-reader.js';
import type { ResolvedSessionOptions } from './resolved-options.js';
import type { ServerSessionOptions } from './session-options.js';

const SECOND = 1000;
const DAY = 24 * 60 * 60 * SECOND;
/** Milliseconds. */
export const DEFAULT_LIFETIME = 31 * DAY;
const MAX_TOUCH_INTERVAL = 60 * SECOND;
const MIN_ENCRYPTION_KEY = 32;

/**
 * Checks the options and fills in the defaults.
 *
 * @param backEnds what `loadBackEnds` has loaded for these options. A group of a back end that is not among them is not checked.
 * @throws SessionOptionsError naming everything that is wrong, at once.
 */
export function resolveOptions(given: ServerSessionOptions = {}, backEnds: GivenBackEnds = new Map()): ResolvedSessionOptions {
  const faults: string[] = [];
  if (!isObject(given))
    throw new SessionOptionsError([`the options are ${given === null ? 'null' : `a ${typeof given}`}; allowed: an object`]);
  const read = new OptionReader({ ...given }, faults);
  const lifetime = read.duration('lifetime', DEFAULT_LIFETIME);
  const absoluteLifetime = read.duration('absoluteLifetime', undefined);
  const type = read.oneOf('type', SESSION_TYPES, 'null');
  const cookie = resolveCookie(read.group('cookie'));
  const resolved: ResolvedSessionOptions = {
    type,
    repository: read.check('repository', undefined, 'a SessionRepository, or a class of one', isRepository),
    permanent: read.boolean('permanent', true),
    lifetime,
    absoluteLifetime,
    secrets: resolveSecrets(read),
    encryption: resolveEncryption(read),
    keyPrefix: read.check('keyPrefix', 'session:', 'a string of at most 100 visible ASCII characters', isKeyPrefix),
    hashIds: read.boolean('hashIds', true),
    cookie,
    transport: resolveTransport(read),
    adopt: resolveAdopt(read, faults, cookie.name),
    earlyLoad: read.check('earlyLoad', false, 'true, false or a function of the request', isBooleanOrFunction),
    touchInterval: read.duration('touchInterval', Math.min(lifetime / 10, MAX_TOUCH_INTERVAL), 0),
    concurrency: read.oneOf('concurrency', ['merge', 'overwrite', 'reject'], 'merge'),
    serializer: read.check('serializer', 'json', `'json', 'msgpack' or a SessionSerializer with a name`, isSerializer),
    idBytes: read.integer('idBytes', 32, 16, 64),
    purgeInterval: resolvePurge(read),
    maxBytes: read.integer('maxBytes', 64 * 1024, 1),
    storeTimeout: read.duration('storeTimeout', 2 * SECOND, 1, MAX_TIMER),
    onStoreError: read.oneOf('onStoreError', ['fail', 'degrade'], 'fail'),
    regenerateGrace: read.duration('regenerateGrace', 5 * SECOND, 0),
    regenerateOnPrincipalChange: read.boolean('regenerateOnPrincipalChange', true),
    maxSessionsPerPrincipal: read.integer('maxSessionsPerPrincipal', undefined, 1),
    onMaxSessions: read.oneOf('onMaxSessions', ['evict-oldest', 'reject'], 'evict-oldest'),
    meta: read.check('meta', undefined, 'a function of the request', (value) => typeof value === 'function'),
    ...resolveBackEnds(read, backEnds),
  };
  if (resolved.touchInterval >= lifetime) read.fault('touchInterval', given.touchInterval, `less than 'lifetime'`);
  read.rejectUnknown();
  if (faults.length > 0) throw new SessionOptionsError(faults);
  return resolved;
}

/** The groups of options of all back ends, as they are given. */
function resolveBackEnds(read: OptionReader, backEnds: GivenBackEnds): BackEndOptions {
  const groups: Record<string, unknown> = {};
  for (const name of SESSION_TYPES) {
    // It has no options: such a group is reported as unknown.
    if (name === 'null') continue;
    const group = read.raw(name);
    if (group === undefined) continue;
    backEnds.get(name)?.check?.(read.group(name));
    groups[name] = group;
  }
  return groups;
}

function resolveSecrets(read: OptionReader): readonly string[] {
  const useSigner = read.boolean('useSigner', false);
  const given = read.raw('secret');
  const secrets: unknown[] = given === undefined ? [] : Array.isArray(given) ? given : [given];
  if (!secrets.every((secret) => typeof secret === 'string' && secret !== '')) {
    read.secretFault('secret', given, 'a string that is not empty, or a list of such');
  } else if (useSigner && secrets.length === 0) {
    read.secretFault('secret', given, `a string, or a list of strings, because 'useSigner' is true`);
  }
  return useSigner ? (secrets as string[]) : [];
}

function resolveEncryption(read: OptionReader): ResolvedSessionOptions['encryption'] {
  if (read.raw('encryption') === undefined) return undefined;
  const group = read.group('encryption');
  const keys = group.raw('keys');
  if (!isKeyList(keys)) group.secretFault('keys', keys, `a list of one or more keys of at least ${MIN_ENCRYPTION_KEY} bytes`);
  group.rejectUnknown();
  return { keys: keys as (string | Uint8Array)[] };
}

function resolvePurge(read: OptionReader): number | false {
  const byDefault = 15 * 60 * SECOND;
  const given = read.raw('purge');
  if (given === undefined) return byDefault;
  if (given === false) return false;
  const group = read.group('purge');
  const interval = group.duration('interval', byDefault, 1, MAX_TIMER);
  group.rejectUnknown();
  return interval;
}

function isKeyList(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0 && value.every(isKey);
}

function isKey(value: unknown): boolean {
  return (
    (typeof value === 'string' && Buffer.byteLength(value) >= MIN_ENCRYPTION_KEY) ||
    (value instanceof Uint8Array && value.length >= MIN_ENCRYPTION_KEY)
  );
}

function isKeyPrefix(value: unknown): boolean {
  return typeof value === 'string' && /^[\x21-\x7e]{0,100}$/.test(value);
}

function isSerializer(value: unknown): boolean {
  if (value === 'json' || value === 'msgpack') return true;
  return value instanceof SessionSerializer && typeof value.name === 'string' && value.name !== '';
}

function isBooleanOrFunction(value: unknown): boolean {
  return typeof value === 'boolean' || typeof value === 'function';
}

function isRepository(value: unknown): boolean {
  return value instanceof SessionRepository || (typeof value === 'function' && value.prototype instanceof SessionRepository);
}

/** A token of RFC 9110 §5.6.2. */
const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/;
/** A path-value of RFC 6265 §4.1.1, without `<`, which the package cookie refuses. */
const PATH = /^\/[\x20-\x3a\x3d-\x7e]*$/;
/** A domain of RFC 1034 §3.5: labels of at most 63 characters. */
const DOMAIN = /^\.?[a-z\d]([a-z\d-]{0,61}[a-z\d])?(\.[a-z\d]([a-z\d-]{0,61}[a-z\d])?)*$/i;

/** Whether a value can stand as the domain of a cookie. */
export const isCookieDomain: (value: unknown) => value is string = matches(DOMAIN);

/** Reads the options of the cookie, and the rules that browsers enforce between them. */
function resolveCookie(read: OptionReader): ResolvedSessionOptions['cookie'] {
  const cookie: ResolvedSessionOptions['cookie'] = {
    name: read.check('name', 'session', "a token of letters, digits and !#$%&'*+-.^_`|~", matches(TOKEN)),
    domain: read.check(
      'domain',
      undefined,
      'a host name, or a function of the request',
      (value) => typeof value === 'function' || isCookieDomain(value),
    ),
    path: read.check('path', '/', 'a string that begins with /', matches(PATH)),
    httpOnly: read.boolean('httpOnly', true),
    secure: read.oneOf('secure', [true, false, 'auto'], 'auto'),
    sameSite: read.oneOf('sameSite', ['lax', 'strict', 'none'], 'lax'),
    partitioned: read.boolean('partitioned', false),
  };
  const { name, domain, path, secure, sameSite, partitioned } = cookie;
  const needsSecure = (because: string): void => {
    if (secure !== true) read.fault('secure', secure, `true, because ${because}`);
  };
  if (sameSite === 'none') needsSecure(`'cookie.sameSite' is 'none'`);
  if (partitioned) needsSecure(`'cookie.partitioned' is true`);
  if (/^__secure-/i.test(name)) needsSecure(`'cookie.name' begins with __Secure-`);
  if (/^__host-/i.test(name)) {
    needsSecure(`'cookie.name' begins with __Host-`);
    if (domain !== undefined) read.fault('domain', domain, `none, because 'cookie.name' begins with __Host-`);
    if (path !== '/') read.fault('path', path, `'/', because 'cookie.name' begins with __Host-`);
  }
  read.rejectUnknown();
  return cookie;
}

function matches(form: RegExp): (value: unknown) => value is string {
  return (value): value is string => typeof value === 'string' && value.length <= 255 && form.test(value);
}

const HEADER = /^[\w!#$%&'*+.^`|~-]{1,100}$/;
/** Headers with a meaning of their own, in requests or responses. */
const TAKEN =
  /^(authorization|connection|content-.*|cookie|date|etag|expires|host|location|origin|set-cookie|transfer-encoding|upgrade|vary)$/i;

/** Reads how ids travel. */
function resolveTransport(read: OptionReader): ResolvedSessionOptions['transport'] {
  const given = read.raw('transport');
  const ways: unknown[] = given === undefined ? ['cookie'] : Array.isArray(given) ? given : [given];
  const headers = ways.filter((way) => way !== 'cookie').map(headerOf);
  const cookies = ways.length - headers.length;
  if (ways.length === 0 || cookies > 1 || headers.length > 1 || headers.includes(undefined)) {
    read.fault('transport', given, "'cookie', { header: 'x-session-id' } with the name of a header of your own, or a list of both");
  }
  return { cookie: cookies > 0, header: headers[0] };
}

/** @returns undefined for what names no header. */
function headerOf(way: unknown): string | undefined {
  if (typeof way !== 'object' || way === null || Object.keys(way).join() !== 'header') return undefined;
  const { header } = way as { header: unknown };
  return typeof header === 'string' && HEADER.test(header) && !TAKEN.test(header) ? header.toLowerCase() : undefined;
}

const FORMER_SYSTEMS = "a list of what 'expressSessions' and 'flaskSessions' of nestjs-server-session/interop make";

/** Reads the former systems, and asks each what is wrong with its options. */
function resolveAdopt(read: OptionReader, faults: string[], ownName: string): readonly FormerSessions[] {
  const given = read.check<readonly unknown[]>('adopt', [], FORMER_SYSTEMS, Array.isArray);
  for (const [index, former] of given.entries()) {
    if (!isFormerSessions(former)) {
      faults.push(`'adopt[${index}]' is ${kindOf(former)}; allowed: ${FORMER_SYSTEMS}`);
      continue;
    }
    faults.push(...former.faults().map((fault) => `adopt[${index}]: ${fault}`));
    if (former.keep && former.cookieName === ownName) {
      faults.push(
        `adopt[${index}]: 'keep' is true; allowed: true with another name than 'cookie.name', because one cookie cannot hold both ids`,
      );
    }
  }
  return given.filter(isFormerSessions);
}

/** By its members: an application may have this class twice, as an ES module and in CommonJS. */
function isFormerSessions(value: unknown): value is FormerSessions {
  if (typeof value !== 'object' || value === null) return false;
  return ['identify', 'read', 'end', 'faults'].every((name) => typeof (value as Record<string, unknown>)[name] === 'function');
}
