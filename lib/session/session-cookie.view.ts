import type { SessionCookieOptions } from '../options/session-options.js';
import type { SessionManager } from './session-manager.js';
import type { SessionState } from './session-state.js';

/** The lifetime of a session in terms of its cookie, for libraries that were written for express-session. */
export class SessionCookieView {
  readonly #state: SessionState;
  readonly #manager: SessionManager;
  readonly #write: (lifetime: number | undefined) => void;

  /** @param write gives the session this lifetime in milliseconds; undefined: its cookie ends with the browser. */
  constructor(state: SessionState, manager: SessionManager, write: (lifetime: number | undefined) => void) {
    this.#state = state;
    this.#manager = manager;
    this.#write = write;
  }

  /** Milliseconds until the cookie ends; null for one that ends with the browser. Set it to give the session another lifetime. */
  get maxAge(): number | null {
    const { expires } = this;
    return expires === null ? null : expires.getTime() - Date.now();
  }

  set maxAge(milliseconds: number | null | undefined) {
    this.#write(milliseconds ?? undefined);
  }

  /** When the cookie ends; null for one that ends with the browser. Set it to give the session another lifetime. */
  get expires(): Date | null {
    return this.#manager.isPermanent(this.#state) ? new Date(this.#manager.expiryOf(this.#state)) : null;
  }

  set expires(date: Date | false | null | undefined) {
    this.#write(date ? date.getTime() - Date.now() : undefined);
  }

  /** Milliseconds that the session lives since its last use; null where the cookie ends with the browser. */
  get originalMaxAge(): number | null {
    return this.#manager.isPermanent(this.#state) ? this.#manager.lifetimeOf(this.#state) : null;
  }

  get path(): string {
    return this.#options.path;
  }

  /** Undefined without one. A domain that depends on the request reads as undefined too. */
  get domain(): string | undefined {
    const domain: unknown = this.#options.domain;
    return typeof domain === 'string' ? domain : undefined;
  }

  get httpOnly(): boolean {
    return this.#options.httpOnly;
  }

  get secure(): boolean | 'auto' {
    return this.#options.secure;
  }

  get sameSite(): NonNullable<SessionCookieOptions['sameSite']> {
    return this.#options.sameSite;
  }

  /** As express-session's cookie has it. */
  toJSON(): Record<string, unknown> {
    const { originalMaxAge, expires, path, domain, httpOnly, secure, sameSite } = this;
    return { originalMaxAge, expires, path, domain, httpOnly, secure, sameSite };
  }

  get #options(): SessionManager['cookieOptions'] {
    return this.#manager.cookieOptions;
  }
}
