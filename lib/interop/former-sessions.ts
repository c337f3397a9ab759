import { reasonOf, UnreadableRecordError } from '../errors.js';
import type { FlashMessage } from '../session/session-data.js';

/** The name of a former session, from a cookie that is valid. */
export interface FormerId {
  /** What the former system calls it. */
  readonly id: string;
  /** The value of the cookie, as the client sent it. */
  readonly cookie: string;
}

/** What a former session brings along. */
export interface FormerSession {
  /** The application's own data, without what only the former system needs. */
  readonly data: Readonly<Record<string, unknown>>;
  /** Messages that nobody has read yet. */
  readonly flashes?: readonly FlashMessage[] | undefined;
  /** Whom it belongs to. */
  readonly principal?: string | undefined;
  /** Whether its cookie has an expiry; undefined: as the option `permanent` says. */
  readonly permanent?: boolean | undefined;
  /** Milliseconds that the former store keeps it; undefined where that store does not tell. */
  readonly remaining?: number | undefined;
  /** Where the former cookie was set, when that is not at `/` of the host itself. */
  readonly cookiePath?: string | undefined;
  readonly cookieDomain?: string | undefined;
}

/**
 * A former system whose sessions go on here, for the option `adopt`. `expressSessions` and `flaskSessions` make one; extend this class
 * for another system.
 */
export abstract class FormerSessions {
  /** The name of the former cookie. */
  abstract readonly cookieName: string;
  /** Whether the former record and cookie stay, because the former application still runs. */
  abstract readonly keep: boolean;

  /**
   * The sessions that the request's cookies name. Checks the signature, and asks no store: what is forged, unsigned or malformed is left
   * out.
   *
   * @param values of the cookies of this name, decoded, at most a few.
   */
  abstract identify(values: readonly string[]): FormerId[];

  /**
   * Reads a session.
   *
   * @returns undefined where there is none (any more).
   * @throws UnreadableRecordError for a record that cannot be read; any other error means that the store could not answer.
   */
  abstract read(id: string): Promise<FormerSession | undefined>;

  /** Removes the record. Called once the session goes on here, unless `keep`. */
  abstract end(id: string): Promise<void>;

  /** What is wrong with the options, a line for each fault; asked once, when the application starts. */
  abstract faults(): readonly string[];

  /** Opens what it needs. A server that is down is no reason to reject. */
  open?(timeout: number): Promise<void>;

  /** Closes what it opened itself. */
  close?(): Promise<void>;
}

/** @throws UnreadableRecordError where the application's function fails. */
export function principalOf<D extends object>(principal: ((data: D) => string | undefined) | undefined, data: D): string | undefined {
  try {
    return principal?.(data);
  } catch (error) {
    throw new UnreadableRecordError(`the function 'principal' failed: ${reasonOf(error, data)}`);
  }
}
