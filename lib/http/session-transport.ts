import { Inject, Injectable } from '@nestjs/common';
import { parseCookie, stringifySetCookie } from 'cookie';
import { sign, unsign } from 'cookie-signature';
import { reasonOf } from '../common/redact.js';
import { SessionLogger } from '../common/session-logger.js';
import { isCookieDomain } from '../options/resolve-options.js';
import { RESOLVED_OPTIONS, type ResolvedSessionOptions } from '../options/resolved-options.js';
import { SessionIds } from '../session/session-id.js';
import type { CookieChange } from '../session/session-state.js';
import { type Exchange, type HttpRequest, isSecure } from './adapters.js';
import type { HeadHeaders } from './commit-on-response.js';

/** How many well-formed values of one request are looked at: each costs a signature or a read. No browser sends more. */
const MAX_CANDIDATES = 32;

/** A signature: HMAC-SHA-256 in base64 without padding. */
const SIGNATURE = /^[A-Za-z\d+/]{43}$/;

/** What a request brings. */
export interface RequestIds {
  /** The well-formed ids, in order, each once. */
  readonly ids: readonly string[];
  /** Ids whose signature was made with a former secret: they must be sent again. */
  readonly outdated: readonly string[];
}

export const NO_IDS: RequestIds = { ids: [], outdated: [] };

/** How an id gets from the client to the server and back: in a cookie, in a header, or in both. */
@Injectable()
export class SessionTransport {
  private readonly logger = new SessionLogger();
  private readonly mark: string;
  private readonly vary: string;
  private readonly unchanged: HeadHeaders;

  constructor(
    @Inject(RESOLVED_OPTIONS) private readonly options: Pick<ResolvedSessionOptions, 'cookie' | 'secrets' | 'transport' | 'adopt'>,
    private readonly ids: SessionIds,
  ) {
    this.mark = `${options.cookie.name}=`;
    const { cookie, header } = options.transport;
    // The cookie of a former system, too, decides what a response says.
    const readsCookies = cookie || options.adopt.length > 0;
    this.vary = [...(readsCookies ? ['Cookie'] : []), ...(header === undefined ? [] : [header])].join(', ');
    this.unchanged = { setCookie: undefined, own: undefined, vary: this.vary, expose: undefined };
  }

  /** The ids that a request brings. Those of the cookie come first. Malformed, unsigned and foreign ones are left out. */
  read({ raw, auth }: Pick<Exchange, 'raw' | 'auth'>): RequestIds {
    const { cookie, header } = this.options.transport;
    const inCookie = cookie ? this.idsInCookie(raw.headers.cookie) : NO_IDS;
    if (header === undefined) return inCookie;
    const values = [raw.headers[header], auth?.[header]].filter((value) => typeof value === 'string').flatMap((value) => value.split(','));
    const inHeader = this.verify(values.map((value) => value.trim()));
    return {
      ids: [...new Set([...inCookie.ids, ...inHeader.ids])],
      outdated: [...inCookie.outdated, ...inHeader.outdated],
    };
  }

  /** What a client sends in its `Cookie` header to open a session: `name=value`. */
  cookieFor(id: string): string {
    return `${this.options.cookie.name}=${encodeURIComponent(this.signed(id))}`;
  }

  /**
   * What the head of a response says of its session.
   *
   * @param id where it changed. @param expiry epoch milliseconds; undefined for a cookie without expiry.
   */
  headersFor(
    request: HttpRequest,
    raw: HttpRequest,
    change: CookieChange,
    id: string | undefined,
    expiry: number | undefined,
  ): HeadHeaders {
    if (change === 'none') return this.unchanged;
    const { cookie, header } = this.options.transport;
    const value = change === 'set' && id !== undefined ? this.signed(id) : '';
    return {
      setCookie: cookie ? this.setCookie(request, raw, value, change === 'set' ? expiry : 0) : undefined,
      own: header === undefined ? undefined : { [header]: value },
      vary: this.vary,
      expose: header,
    };
  }

  /** Several cookies may have the name (another path, a parent domain, an attacker's), so all of them are looked at. */
  private idsInCookie(header: string | undefined): RequestIds {
    if (header === undefined || !header.includes(this.mark)) return NO_IDS;
    const pairs = header.split(';').filter((pair) => pair.includes(this.mark));
    return this.verify(pairs.map((pair) => unquoted(parseCookie(pair)[this.options.cookie.name])));
  }

  /** The ids among the values of a request. */
  private verify(values: readonly (string | undefined)[]): RequestIds {
    const ids: string[] = [];
    const outdated: string[] = [];
    let candidates = 0;
    for (const value of values) {
      if (value === undefined || !this.isWellFormed(value)) continue;
      if (++candidates > MAX_CANDIDATES) break;
      const id = this.unsigned(value, outdated);
      if (id !== undefined && !ids.includes(id)) ids.push(id);
    }
    return ids.length === 0 ? NO_IDS : { ids, outdated };
  }

  /** Costs next to nothing and comes first, so that what cannot be an id costs no hash. */
  private isWellFormed(value: string): boolean {
    if (this.options.secrets.length === 0) return this.ids.isWellFormed(value);
    const dot = value.lastIndexOf('.');
    return dot >= 0 && this.ids.isWellFormed(value.slice(0, dot)) && SIGNATURE.test(value.slice(dot + 1));
  }

  private unsigned(value: string, outdated: string[]): string | undefined {
    const { secrets } = this.options;
    if (secrets.length === 0) return value;
    const index = secrets.findIndex((secret) => unsign(value, secret) !== false);
    if (index < 0) return undefined;
    const id = value.slice(0, value.lastIndexOf('.'));
    if (index > 0) outdated.push(id);
    return id;
  }

  /** An id as the client gets it. */
  private signed(id: string): string {
    const [secret] = this.options.secrets;
    return secret === undefined ? id : sign(id, secret);
  }

  /** @returns undefined where the application gives a domain that cannot stand in a cookie. */
  private setCookie(request: HttpRequest, raw: HttpRequest, value: string, expiry: number | undefined): string | undefined {
    const domain = this.domainFor(request);
    if (domain === null) return undefined;
    const { name, path, httpOnly, sameSite, partitioned } = this.options.cookie;
    return stringifySetCookie({
      name,
      value,
      path,
      httpOnly,
      secure: this.isSecureCookie(request, raw),
      sameSite,
      partitioned,
      ...(domain === undefined ? {} : { domain }),
      ...(expiry === undefined ? {} : { expires: new Date(expiry), maxAge: Math.max(0, Math.round((expiry - Date.now()) / 1000)) }),
    });
  }

  /** @returns null for a domain that cannot stand in a cookie. */
  private domainFor(request: HttpRequest): string | undefined | null {
    const { domain } = this.options.cookie;
    if (typeof domain !== 'function') return domain;
    let fault: string;
    try {
      const chosen: unknown = domain(request);
      if (chosen === undefined || isCookieDomain(chosen)) return chosen;
      fault = `gave ${typeof chosen === 'string' ? 'a string' : `a ${typeof chosen}`} that is no host name`;
    } catch (error) {
      fault = `failed: ${reasonOf(error)}`;
    }
    this.logger.once('error', 'domain', `the function 'cookie.domain' ${fault}; such a response gets no session cookie`);
    return null;
  }

  /** Decides whether a cookie is `Secure`, and tells once when a proxy seems not to be trusted: a common trap. */
  private isSecureCookie(request: HttpRequest, raw: HttpRequest): boolean {
    const { secure } = this.options.cookie;
    if (secure === false) return false;
    const isHttps = isSecure(request, raw);
    if (!isHttps && String(raw.headers['x-forwarded-proto']).startsWith('https'))
      this.logger.once(
        'warn',
        'proxy',
        "a proxy says that the request came over https, but the application does not trust it, so the session cookie cannot follow the request's " +
          "scheme. Trust the proxy: app.set('trust proxy', …) on Express, new FastifyAdapter({ trustProxy: … }) on Fastify.",
      );
    return secure === 'auto' ? isHttps : secure;
  }
}

/** Clients of RFC 2109 put values in double quotes. */
function unquoted(value: string | undefined): string | undefined {
  return value?.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
}
