import { SessionOptionsError } from '../errors.js';
import { type BackEndOptions, type GivenBackEnds, SESSION_TYPES } from '../repositories/back-ends.js';
import { SessionRepository } from '../repositories/session-repository.js';
import { SessionSerializer } from '../storage/serializers.js';
import { resolveAdopt } from './adopt.options.js';
import { resolveCookie } from './cookie.options.js';
import { resolveTransport } from './transport.options.js';
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
    maxSessionsPerPrincipal: resolveMaxSessions(read),
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

function resolveMaxSessions(read: OptionReader): number | undefined {
  return read.raw('maxSessionsPerPrincipal') === undefined ? undefined : read.integer('maxSessionsPerPrincipal', 1, 1);
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
