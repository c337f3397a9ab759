import type { Provider } from '@nestjs/common';
import { SessionOptionsError } from '../errors.js';
import { RESOLVED_OPTIONS, type ResolvedSessionOptions } from '../options/resolved-options.js';
import { SESSION_LIMIT } from '../session/session-manager.js';
import { SessionStore } from '../storage/session-store.js';
import { PrincipalLimit } from './principal-limit.js';
import { PurgeTimer } from './purge.timer.js';
import { SessionEventListeners } from './session-event.listeners.js';
import { SessionListing } from './session-listing.js';
import { SessionRevocation } from './session-revocation.js';
import { SessionService } from './session.service.js';

/** What sessions of other clients are looked at, ended, counted and announced with. */
export const ADMINISTRATION: Provider[] = [
  SessionListing,
  SessionRevocation,
  {
    provide: SESSION_LIMIT,
    inject: [RESOLVED_OPTIONS, SessionListing, SessionRevocation, SessionStore],
    useFactory: createLimit,
  },
  PurgeTimer,
  SessionEventListeners,
  SessionService,
];

/** @throws SessionOptionsError when there is a limit, and a back end that cannot tell how many sessions a principal has. */
function createLimit(
  options: ResolvedSessionOptions,
  listing: SessionListing,
  revocation: SessionRevocation,
  store: SessionStore,
): PrincipalLimit | undefined {
  const { maxSessionsPerPrincipal: max, onMaxSessions, type, repository } = options;
  if (max === undefined || (type === 'null' && repository === undefined)) return undefined;
  if (!listing.isSupported) {
    throw new SessionOptionsError([
      `'maxSessionsPerPrincipal' is ${max}; allowed: nothing, because ${listing.backEnd} cannot list the sessions of a principal`,
    ]);
  }
  return new PrincipalLimit(max, onMaxSessions, listing, revocation, store);
}
