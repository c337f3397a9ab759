import type { Type } from '@nestjs/common';
import type { IncomingHttpHeaders } from 'node:http';
import type { BackEndOptions, SessionType } from '../repositories/back-ends.js';
import type { FormerSessions } from '../interop/former-sessions.js';
import type { SessionRepository } from '../repositories/session-repository.js';
import type { SessionSerializer } from '../storage/serializers.js';

/** A span of time: a number of seconds, or a string as in `'500ms'`, `'20m'`, `'14d'`. */
export type Duration = number | string;

export type { SessionType };

/** The session cookie. */
export interface SessionCookieOptions {
  /**
   * The name. A name that begins with `__Host-` or `__Secure-` brings the rules of RFC 6265bis §4.1.3, checked at boot.
   * @default 'session'
   */
  name?: string;
  /**
   * The domain. Without one, only the host that set the cookie gets it back. A function gives the domain for a request, for one
   * application under many domains; where it gives none that can stand in a cookie, that is logged and no cookie is sent.
   */
  domain?: string | ((request: SessionRequest) => string | undefined);
  /** @default '/' */
  path?: string;
  /**
   * Hides the cookie from scripts of the page.
   * @default true
   */
  httpOnly?: boolean;
  /**
   * Whether browsers send the cookie over https only. `'auto'`: secure when the request itself came over https, behind a
   * proxy as far as the adapter trusts it (`app.set('trust proxy', …)` on Express, `trustProxy` on Fastify).
   * @default 'auto'
   */
  secure?: boolean | 'auto';
  /**
   * Whether other sites' requests carry the cookie. `'none'` needs `secure: true`.
   * @default 'lax'
   */
  sameSite?: 'lax' | 'strict' | 'none';
  /**
   * A jar of its own for each embedding site (CHIPS). Needs `secure: true`.
   * @default false
   */
  partitioned?: boolean;
}

/** Where ids come from and are sent to: a cookie, or a header of this name in requests and responses. */
export type SessionTransportOption = 'cookie' | { readonly header: string };

/** The framework's request, as far as it is the same everywhere. Annotate the parameter with its own type to see more. */
export interface SessionRequest {
  readonly headers: IncomingHttpHeaders;
  /** The client's address, behind proxies as far as the adapter trusts them. */
  readonly ip?: string | undefined;
}

/** The options of `ServerSessionModule.forRoot`, and a group of options under the name of each back end. */
export interface ServerSessionOptions extends BackEndOptions {
  /**
   * The back end. With `'null'` the session reads as empty and a write throws `NullSessionError`.
   * @default 'null'
   */
  type?: SessionType;
  /** A repository of your own, in place of `type`: an instance, or a class that Nest instantiates. */
  repository?: SessionRepository | Type<SessionRepository>;
  /**
   * Whether the cookie has an expiry. Without one the browser drops it when it closes; the store keeps the session for
   * `lifetime` all the same.
   * @default true
   */
  permanent?: boolean;
  /**
   * How long a session lives since its last use.
   * @default '31d'
   */
  lifetime?: Duration;
  /**
   * How long a session lives since it was created, whatever its use; `regenerate()` does not reset it. A shorter one holds for sessions that
   * are stored already, too.
   */
  absoluteLifetime?: Duration;
  /**
   * Whether the cookie is signed (HMAC-SHA-256), so that forged ids never reach the store.
   * @default false
   */
  useSigner?: boolean;
  /** The secret of the signer, or several: the first one signs, all of them verify. */
  secret?: string | string[];
  /**
   * Encrypts records at rest with AES-256-GCM, bound to `keyPrefix` and session, and stores keyed hashes of principals. Keys of at least 32
   * bytes: the first encrypts, all of them decrypt.
   */
  encryption?: { keys: (string | Uint8Array)[] };
  /**
   * Stands before the name of every session in the store, so that several applications can share it.
   * @default 'session:'
   */
  keyPrefix?: string;
  /**
   * Whether the store holds the SHA-256 of the id in place of the id. Without it a handle is an id, and a reader of
   * the store can use the sessions in it; sessions that were stored under a hash are no sessions then.
   * @default true
   */
  hashIds?: boolean;
  /** The cookie. */
  cookie?: SessionCookieOptions;
  /**
   * How ids travel. `{ header: 'x-session-id' }` is for clients that keep no cookies: a new id stands in the response's header of
   * that name, and an empty value there says that the session has ended. With both in a list, ids are sent both ways, and the
   * session of the cookie comes before that of the header.
   * @default 'cookie'
   */
  transport?: SessionTransportOption | readonly SessionTransportOption[];
  /**
   * Whether a request has its `req.session` before any middleware runs, loaded from the store where it brings an id: for libraries that
   * look for `req.session` themselves, as Passport does. A function says for which requests.
   * @default false
   */
  earlyLoad?: boolean | ((request: SessionRequest) => boolean);
  /**
   * Former systems whose sessions go on here: `expressSessions` and `flaskSessions` of `nestjs-server-session/interop`. A request with no
   * session of ours but a valid cookie of a former system goes on with the data of that session under a new id.
   * @default none
   */
  adopt?: readonly FormerSessions[];
  /**
   * How often sliding expiry is written, at the most.
   * @default a tenth of `lifetime`, at most 60 s
   */
  touchInterval?: Duration;
  /**
   * What happens when another request changed the session since this one loaded it. `'merge'`: the changes of both, key by
   * key. `'overwrite'`: this request's whole session. `'reject'`: 409.
   * @default 'merge'
   */
  concurrency?: 'merge' | 'overwrite' | 'reject';
  /**
   * The form of the stored values. `'msgpack'` needs the package @msgpack/msgpack.
   * @default 'json'
   */
  serializer?: 'json' | 'msgpack' | SessionSerializer;
  /**
   * Random bytes in an id, 16 to 64.
   * @default 32
   */
  idBytes?: number;
  /**
   * How often expired records are removed from stores without a time to live of their own, at a random moment within
   * the interval; `false` never.
   * @default { interval: '15m' }
   */
  purge?: { interval: Duration } | false;
  /**
   * The largest data of a session, in bytes: keys, serialized values, and 32 for each key. Past it the save fails with
   * `SessionTooLargeError`, which names the largest keys.
   * @default 65536
   */
  maxBytes?: number;
  /**
   * How long one operation of the store may take before the request is answered with 503.
   * @default '2s'
   */
  storeTimeout?: Duration;
  /**
   * When the store fails as a session is loaded. `'fail'`: 503. `'degrade'`: an empty, read-only session, logged.
   * @default 'fail'
   */
  onStoreError?: 'fail' | 'degrade';
  /**
   * How long requests that still carry the id from before a `regenerate()` find the session, so that parallel requests of
   * one page do not lose it. Never after a change of principal. `0` ends the old id at once.
   * @default '5s'
   */
  regenerateGrace?: Duration;
  /**
   * Whether a change of `session.principal` gives the session a new id, unless the request did so itself (against
   * session fixation).
   * @default true
   */
  regenerateOnPrincipalChange?: boolean;
  /**
   * How many sessions a principal may have at the same time; without it, any number. Needs a back end that can list. See
   * `onMaxSessions`.
   */
  maxSessionsPerPrincipal?: number;
  /**
   * What a log-in past `maxSessionsPerPrincipal` does. `'evict-oldest'`: ends the sessions that were not used for longest.
   * `'reject'`: is refused with `TooManySessionsError` (409).
   * @default 'evict-oldest'
   */
  onMaxSessions?: 'evict-oldest' | 'reject';
  /**
   * What to note of the request that a session begins with, to show it in a list of devices: `session.meta`. Called once, before
   * the first save, with the framework's request. If it throws, that is logged, and the session begins without.
   */
  meta?(request: SessionRequest): Record<string, unknown> | undefined;
}

/** For `forRootAsync({ useClass })` and `{ useExisting }`. */
export interface ServerSessionOptionsFactory {
  createServerSessionOptions(): ServerSessionOptions | Promise<ServerSessionOptions>;
}
