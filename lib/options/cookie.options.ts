import type { OptionReader } from '../common/option-reader.js';
import type { ResolvedSessionOptions } from './resolved-options.js';

/** A token of RFC 9110 §5.6.2. */
const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/;
/** A path-value of RFC 6265 §4.1.1, without `<`, which the package cookie refuses. */
const PATH = /^\/[\x20-\x3a\x3d-\x7e]*$/;
/** A domain of RFC 1034 §3.5: labels of at most 63 characters. */
const DOMAIN = /^\.?[a-z\d]([a-z\d-]{0,61}[a-z\d])?(\.[a-z\d]([a-z\d-]{0,61}[a-z\d])?)*$/i;

/** Whether a value can stand as the domain of a cookie. */
export const isCookieDomain: (value: unknown) => value is string = matches(DOMAIN);

/** Reads the options of the cookie, and the rules that browsers enforce between them. */
export function resolveCookie(read: OptionReader): ResolvedSessionOptions['cookie'] {
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
