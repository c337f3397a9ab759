import { Inject, Injectable } from '@nestjs/common';
import { SessionLogger } from '../common/session-logger.js';
import { isCookieDomain } from '../options/cookie.options.js';
import { RESOLVED_OPTIONS, type ResolvedSessionOptions } from '../options/resolved-options.js';
import { SessionIds } from '../session/session-id.js';
import { type Exchange, type HttpRequest, isSecure } from './adapters.js';
import type { HeadHeaders } from './response-head.js';
import { NO_IDS, type RequestIds, SessionCookie } from './session-cookie.js';

/** How an id gets from the client to the server and back: in a cookie, in a header, or in both. */
@Injectable()
export class SessionTransport {
  private readonly logger = new SessionLogger();
  private readonly cookie: SessionCookie;
  private readonly vary: string;
  private readonly unchanged: HeadHeaders;
  private hasAdvised = false;
  private hasWrongDomain = false;

  constructor(
    @Inject(RESOLVED_OPTIONS) private readonly options: Pick<ResolvedSessionOptions, 'cookie' | 'secrets' | 'transport' | 'adopt'>,
    ids: SessionIds,
  ) {
    this.cookie = new SessionCookie(options, ids);
    const { cookie, header } = options.transport;
    // The cookie of a former system, too, decides what a response says.
    const readsCookies = cookie || options.adopt.length > 0;
    this.vary = [...(readsCookies ? ['Cookie'] : []), ...(header === undefined ? [] : [header])].join(', ');
    this.unchanged = { setCookie: undefined, own: undefined, vary: this.vary, expose: undefined };
  }

  /** The ids that a request brings. Those of the cookie come first. */
  read({ raw, auth }: Pick<Exchange, 'raw' | 'auth'>): RequestIds {
    const { cookie, header } = this.options.transport;
    const inCookie = cookie ? this.cookie.parse(raw.headers.cookie) : NO_IDS;
    if (header === undefined) return inCookie;
    const values = [raw.headers[header], auth?.[header]].filter((value) => typeof value === 'string').flatMap((value) => value.split(','));
    const inHeader = this.cookie.verify(values.map((value) => value.trim()));
    return {
      ids: [...inCookie.ids, ...inHeader.ids.filter((id) => !inCookie.ids.includes(id))],
      outdated: [...inCookie.outdated, ...inHeader.outdated],
    };
  }

  /** What a client sends in its `Cookie` header to open a session: `name=value`. */
  cookieFor(id: string): string {
    return `${this.options.cookie.name}=${encodeURIComponent(this.cookie.signed(id))}`;
  }

  /**
   * What the head of a response says of its session.
   *
   * @param id where it changed. @param expiry epoch milliseconds; undefined for a cookie without expiry.
   */
  headersFor(
    request: HttpRequest,
    raw: HttpRequest,
    change: 'none' | 'set' | 'clear',
    id: string | undefined,
    expiry: number | undefined,
  ): HeadHeaders {
    if (change === 'none') return this.unchanged;
    const { cookie, header } = this.options.transport;
    return {
      setCookie: cookie ? this.setCookie(request, raw, change === 'set' ? id : undefined, expiry) : undefined,
      own: header === undefined ? undefined : { [header]: change === 'set' && id !== undefined ? this.cookie.signed(id) : '' },
      vary: this.vary,
      expose: header,
    };
  }

  private setCookie(request: HttpRequest, raw: HttpRequest, id: string | undefined, expiry: number | undefined): string | undefined {
    const secure = this.isSecureCookie(request, raw);
    const domain = this.domainFor(request);
    if (domain === null) return undefined;
    return id === undefined ? this.cookie.clear(secure, domain) : this.cookie.set(id, expiry, secure, domain);
  }

  /** @returns null for a domain that cannot stand in a cookie. */
  private domainFor(request: HttpRequest): string | undefined | null {
    const { domain } = this.options.cookie;
    if (typeof domain !== 'function') return undefined;
    let fault: string;
    try {
      const chosen: unknown = domain(request);
      if (chosen === undefined || isCookieDomain(chosen)) return chosen;
      fault = `gave ${typeof chosen === 'string' ? 'a string' : `a ${typeof chosen}`} that is no host name`;
    } catch (error) {
      fault = `failed: ${String(error)}`;
    }
    if (!this.hasWrongDomain) this.logger.error(`the function 'cookie.domain' ${fault}; such a response gets no session cookie`);
    this.hasWrongDomain = true;
    return null;
  }

  /** Decides whether a cookie is `Secure`, and tells once when a proxy seems not to be trusted: a common trap. */
  private isSecureCookie(request: HttpRequest, raw: HttpRequest): boolean {
    const { secure } = this.options.cookie;
    if (secure === false) return false;
    const isHttps = isSecure(request, raw);
    const forwarded = raw.headers['x-forwarded-proto'];
    if (!isHttps && !this.hasAdvised && typeof forwarded === 'string' && forwarded.startsWith('https')) {
      this.hasAdvised = true;
      this.logger.warn(
        "a proxy says that the request came over https, but the application does not trust it, so the session cookie cannot follow the request's " +
          "scheme. Trust the proxy: app.set('trust proxy', …) on Express, new FastifyAdapter({ trustProxy: … }) on Fastify.",
      );
    }
    return secure === 'auto' ? isHttps : secure;
  }
}
