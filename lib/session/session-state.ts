import type { SessionContent } from '../storage/record.codec.js';
import type { SessionVersion } from '../repositories/session-repository.js';
import type { SessionRequest } from '../options/session-options.js';
import type { SessionFields } from './session-fields.js';

/** What is in the store, as far as this request knows. */
export interface Base {
  readonly version: SessionVersion;
  readonly content: SessionContent;
}

/** What the response has to say about the cookie. */
export type CookieChange = 'none' | 'set' | 'clear';

/** Why a session cannot be written, as the error to throw. */
export type ReadOnlyReason = (operation: string) => Error;

/**
 * One session in one request: who it is, what is stored of it, and what the request made of it. Only the lifecycle and the
 * session object change it.
 */
export interface SessionState {
  /** The id in the cookie; undefined until somebody needs one. */
  sid: string | undefined;
  /** The name in the store; undefined as long as there is no id. */
  handle: string | undefined;
  /** Undefined: not stored, or not any more. */
  base: Base | undefined;
  fields: SessionFields;
  createdAt: number;
  accessedAt: number;
  deadline: number | undefined;
  /** For administration: when it ends if it is not used. In its own request it is being used. */
  expiry: number | undefined;
  /** Gives the framework's request to the option `meta`, where that is set. */
  request: (() => SessionRequest) | undefined;
  /** Whether the head of the response has left, so that no id can be told to the client. Undefined: it has not. */
  headSent?: (() => boolean) | undefined;
  /** When its cookie was last sent. */
  cookieAt: number;
  cookie: CookieChange;
  /** Loaded through an id that was regenerated a moment ago: its changes count, but it never gets the new id. */
  follower: boolean;
  /** The old id, where this request regenerated it and requests with it still find the session. */
  forwardedFrom: string | undefined;
  /** This request gave the session a new id. */
  regenerated: boolean;
  /** Destroyed, revoked or expired meanwhile: whatever this request still does to it is dropped. */
  dead: boolean;
  readOnly: ReadOnlyReason | undefined;
  /** The operation under way: those of one request take turns. */
  busy: Promise<unknown> | undefined;
}
