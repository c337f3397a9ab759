import { parseCookie, stringifySetCookie } from 'cookie';
import { sign, unsign } from 'cookie-signature';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import type { SessionIds } from '../session/session-id.js';

/** Well-formed cookies of the session's name that one request may cost a signature or a read each; more are no browser's. */
const MAX_CANDIDATES = 32;

/** A signature: HMAC-SHA-256 in base64 without padding. */
const SIGNATURE = /^[A-Za-z\d+/]{43}$/;

/** What a request brings. */
export interface RequestIds {
  /** The well-formed ids, in order, each once. */
  readonly ids: readonly string[];
  /** Ids whose signature was made with a former secret: they are to be sent again. */
  readonly outdated: readonly string[];
}

export const NO_IDS: RequestIds = { ids: [], outdated: [] };

/** The session cookie: which ids a request brings, and what the response sends. */
export class SessionCookie {
  private readonly mark: string;

  constructor(
    private readonly options: Pick<ResolvedSessionOptions, 'cookie' | 'secrets'>,
    private readonly ids: SessionIds,
  ) {
    this.mark = `${options.cookie.name}=`;
  }

  /**
   * The ids in a `Cookie` header. Several cookies may have the name (another path, a parent domain, an attacker's), so all
   * of them are looked at. Malformed, unsigned and foreign ones are left out.
   */
  parse(header: string | undefined): RequestIds {
    if (header === undefined || !header.includes(this.mark)) return NO_IDS;
    const values = header
      .split(';')
      .filter((pair) => pair.includes(this.mark))
      .map((pair) => unquoted(parseCookie(pair)[this.options.cookie.name]));
    return this.verify(values);
  }

  /** The ids among the values of a request: as in the cookie, with their signatures. */
  verify(values: Iterable<string | undefined>): RequestIds {
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

  /** An id as the client gets it. */
  signed(id: string): string {
    const [secret] = this.options.secrets;
    return secret === undefined ? id : sign(id, secret);
  }

  /**
   * The `Set-Cookie` value for a session.
   *
   * @param expiry epoch milliseconds; undefined for a cookie without expiry.
   * @param domain in place of the one in the options, where that is a function.
   */
  set(id: string, expiry: number | undefined, secure: boolean, domain?: string): string {
    return this.stringify(
      this.signed(id),
      secure,
      domain,
      expiry === undefined ? {} : { expires: new Date(expiry), maxAge: Math.max(0, Math.round((expiry - Date.now()) / 1000)) },
    );
  }

  /** The `Set-Cookie` value that makes the browser forget the cookie. */
  clear(secure: boolean, domain?: string): string {
    return this.stringify('', secure, domain, { expires: new Date(0), maxAge: 0 });
  }

  private stringify(value: string, secure: boolean, domain: string | undefined, life: { expires?: Date; maxAge?: number }): string {
    const { name, path, httpOnly, sameSite, partitioned } = this.options.cookie;
    const there = domain ?? this.options.cookie.domain;
    return stringifySetCookie({
      name,
      value,
      path,
      httpOnly,
      secure,
      sameSite,
      partitioned,
      ...(typeof there === 'string' ? { domain: there } : {}),
      ...life,
    });
  }

  /** Costs next to nothing, and comes first: what cannot be an id is not worth a hash. */
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
}

/** Clients of RFC 2109 put values in double quotes. */
function unquoted(value: string | undefined): string | undefined {
  return value?.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
}
