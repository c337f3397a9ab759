import { parseCookie, stringifySetCookie } from 'cookie';
import { sign, unsign } from 'cookie-signature';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import type { SessionIds } from '../session/session-id.js';

/** Well-formed cookies of the session's name that one request may cost a signature or a read each; more are no browser's. */
const MAX_CANDIDATES = 32;

/** A signature: HMAC-SHA-256 in base64 without padding. */
const SIGNATURE = /^[A-Za-z\d+/]{43}$/;

/** What a request's cookies say. */
export interface CookieIds {
  /** The well-formed ids, in order, each once. */
  readonly ids: readonly string[];
  /** Ids whose signature was made with a former secret: their cookie is to be sent again. */
  readonly outdated: readonly string[];
}

export const NO_IDS: CookieIds = { ids: [], outdated: [] };

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
  parse(header: string | undefined): CookieIds {
    if (header === undefined || !header.includes(this.mark)) return NO_IDS;
    const ids: string[] = [];
    const outdated: string[] = [];
    let candidates = 0;
    for (const pair of header.split(';')) {
      if (!pair.includes(this.mark)) continue;
      const value = parseCookie(pair)[this.options.cookie.name];
      if (value === undefined || !this.isWellFormed(value)) continue;
      if (++candidates > MAX_CANDIDATES) break;
      const id = this.verify(value, outdated);
      if (id !== undefined && !ids.includes(id)) ids.push(id);
    }
    return ids.length === 0 ? NO_IDS : { ids, outdated };
  }

  /** The `Set-Cookie` value for a session. @param expiry epoch milliseconds; undefined for a cookie without expiry. */
  set(id: string, expiry: number | undefined, secure: boolean): string {
    const [secret] = this.options.secrets;
    const value = secret === undefined ? id : sign(id, secret);
    return this.stringify(
      value,
      secure,
      expiry === undefined ? {} : { expires: new Date(expiry), maxAge: Math.max(0, Math.round((expiry - Date.now()) / 1000)) },
    );
  }

  /** The `Set-Cookie` value that makes the browser forget the cookie. */
  clear(secure: boolean): string {
    return this.stringify('', secure, { expires: new Date(0), maxAge: 0 });
  }

  private stringify(value: string, secure: boolean, life: { expires?: Date; maxAge?: number }): string {
    const { name, domain, path, httpOnly, sameSite, partitioned } = this.options.cookie;
    return stringifySetCookie({
      name,
      value,
      path,
      httpOnly,
      secure,
      sameSite,
      partitioned,
      ...(domain === undefined ? {} : { domain }),
      ...life,
    });
  }

  /** Costs next to nothing, and comes first: what cannot be an id is not worth a hash. */
  private isWellFormed(value: string): boolean {
    if (this.options.secrets.length === 0) return this.ids.isWellFormed(value);
    const dot = value.lastIndexOf('.');
    return dot >= 0 && this.ids.isWellFormed(value.slice(0, dot)) && SIGNATURE.test(value.slice(dot + 1));
  }

  private verify(value: string, outdated: string[]): string | undefined {
    const { secrets } = this.options;
    if (secrets.length === 0) return value;
    const index = secrets.findIndex((secret) => unsign(value, secret) !== false);
    if (index < 0) return undefined;
    const id = value.slice(0, value.lastIndexOf('.'));
    if (index > 0) outdated.push(id);
    return id;
  }
}
