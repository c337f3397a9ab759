import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import type { SessionCookieOptions } from '../options/session-options.js';

/** What the cookie says of its session. */
interface CookieOwner {
  permanent: boolean;
  lifetime: number | string | undefined;
  readonly expiresAt: Date;
}

/** The lifetime of a session in terms of its cookie, for libraries that were written for express-session. */
export class SessionCookieView {
  readonly #session: CookieOwner;
  readonly #options: Pick<ResolvedSessionOptions, 'cookie' | 'lifetime'>;

  /** @internal */
  constructor(session: CookieOwner, options: Pick<ResolvedSessionOptions, 'cookie' | 'lifetime'>) {
    this.#session = session;
    this.#options = options;
  }

  /** Milliseconds until the cookie ends; null for one that ends with the browser. Set it to give the session another lifetime. */
  get maxAge(): number | null {
    const { expires } = this;
    return expires === null ? null : expires.getTime() - Date.now();
  }

  set maxAge(milliseconds: number | null | undefined) {
    this.#live(milliseconds ?? undefined);
  }

  /** When the cookie ends; null for one that ends with the browser. Set it to give the session another lifetime. */
  get expires(): Date | null {
    return this.#session.permanent ? this.#session.expiresAt : null;
  }

  set expires(date: Date | false | null | undefined) {
    this.#live(date ? date.getTime() - Date.now() : undefined);
  }

  /** Milliseconds that the session lives since its last use; null where the cookie ends with the browser. */
  get originalMaxAge(): number | null {
    const { permanent, lifetime } = this.#session;
    if (!permanent) return null;
    return typeof lifetime === 'number' ? lifetime * 1000 : this.#options.lifetime;
  }

  get path(): string {
    return this.#options.cookie.path;
  }

  /** Undefined without one. A domain that depends on the request reads as undefined too. */
  get domain(): string | undefined {
    const domain: unknown = this.#options.cookie.domain;
    return typeof domain === 'string' ? domain : undefined;
  }

  get httpOnly(): boolean {
    return this.#options.cookie.httpOnly;
  }

  get secure(): boolean | 'auto' {
    return this.#options.cookie.secure;
  }

  get sameSite(): NonNullable<SessionCookieOptions['sameSite']> {
    return this.#options.cookie.sameSite;
  }

  /** As express-session's cookie has it. */
  toJSON(): Record<string, unknown> {
    const { originalMaxAge, expires, path, domain, httpOnly, secure, sameSite } = this;
    return { originalMaxAge, expires, path, domain, httpOnly, secure, sameSite };
  }

  /** Gives the session a lifetime in milliseconds. Without one its cookie ends with the browser. */
  #live(milliseconds: number | undefined): void {
    if (milliseconds !== undefined) this.#session.lifetime = Math.max(1, milliseconds) / 1000;
    this.#session.permanent = milliseconds !== undefined;
  }
}
