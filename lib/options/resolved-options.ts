import type { FormerSessions } from '../interop/former-sessions.js';
import type { BackEndOptions, SessionType } from '../repositories/back-ends.js';
import type { ServerSessionOptions, SessionCookieOptions } from './session-options.js';

type CookieDefaults = Required<Omit<SessionCookieOptions, 'domain'>> & Pick<SessionCookieOptions, 'domain'>;

/** The token of the options once checked. */
export const RESOLVED_OPTIONS = Symbol('ServerSession.options');

/** The options once checked, with every default filled in. Spans of time are in milliseconds. */
export interface ResolvedSessionOptions extends Readonly<
  BackEndOptions & Pick<ServerSessionOptions, 'repository' | 'encryption' | 'meta' | 'maxSessionsPerPrincipal'>
> {
  readonly type: SessionType;
  readonly permanent: boolean;
  readonly lifetime: number;
  readonly absoluteLifetime: number | undefined;
  /** The signing secrets; empty where cookies are not signed. */
  readonly secrets: readonly string[];
  readonly keyPrefix: string;
  readonly hashIds: boolean;
  readonly cookie: Readonly<CookieDefaults>;
  /** The header is in lower case. */
  readonly transport: { readonly cookie: boolean; readonly header: string | undefined };
  readonly adopt: readonly FormerSessions[];
  readonly earlyLoad: NonNullable<ServerSessionOptions['earlyLoad']>;
  readonly touchInterval: number;
  readonly concurrency: NonNullable<ServerSessionOptions['concurrency']>;
  readonly serializer: NonNullable<ServerSessionOptions['serializer']>;
  readonly idBytes: number;
  /** Milliseconds; false where nothing is purged. */
  readonly purgeInterval: number | false;
  readonly maxBytes: number;
  readonly storeTimeout: number;
  readonly onStoreError: NonNullable<ServerSessionOptions['onStoreError']>;
  readonly regenerateGrace: number;
  readonly regenerateOnPrincipalChange: boolean;
  readonly onMaxSessions: NonNullable<ServerSessionOptions['onMaxSessions']>;
}
