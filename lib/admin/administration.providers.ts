import type { Provider } from '@nestjs/common';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';
import { SessionOptionsError } from '../errors.js';
import { RequestSessions } from '../http/request-session.js';
import { RESOLVED_OPTIONS, type ResolvedSessionOptions } from '../options/resolved-options.js';
import { SessionRepository } from '../repositories/session-repository.js';
import { SessionEvents } from '../session/session-events.js';
import { SessionLifecycle } from '../session/session-lifecycle.js';
import { SessionRetirement } from '../session/session-retirement.js';
import { SessionStore } from '../storage/session-store.js';
import { SessionTelemetry } from '../telemetry/session-telemetry.js';
import { createTelemetry } from '../telemetry/telemetry.factory.js';
import { PrincipalLimit } from './principal-limit.js';
import { PurgeTimer } from './purge.timer.js';
import { SessionEventListeners } from './session-event.listeners.js';
import { SessionListing } from './session-listing.js';
import { SessionRevocation } from './session-revocation.js';
import { SessionService } from './session.service.js';

/** What sessions of others are looked at, ended, counted and announced with. */
export const ADMINISTRATION: Provider[] = [
  SessionEvents,
  {
    provide: SessionTelemetry,
    inject: [RESOLVED_OPTIONS],
    useFactory: ({ type, repository }: ResolvedSessionOptions) => createTelemetry(repository === undefined ? type : 'custom'),
  },
  {
    provide: SessionListing,
    inject: [RESOLVED_OPTIONS, SessionRepository, SessionStore],
    useFactory: (options: ResolvedSessionOptions, repository: SessionRepository, stored: SessionStore) =>
      new SessionListing(repository, stored, nameOf(options, repository), options.storeTimeout),
  },
  {
    provide: SessionRevocation,
    inject: [RESOLVED_OPTIONS, SessionStore, SessionListing, SessionEvents],
    useFactory: (options: ResolvedSessionOptions, stored: SessionStore, listing: SessionListing, events: SessionEvents) =>
      new SessionRevocation(stored, new SessionRetirement(stored, options), listing, events),
  },
  {
    provide: PrincipalLimit,
    inject: [RESOLVED_OPTIONS, SessionListing, SessionRevocation, SessionStore],
    useFactory: createLimit,
  },
  {
    provide: PurgeTimer,
    inject: [RESOLVED_OPTIONS, SessionRepository],
    useFactory: ({ purgeInterval }: ResolvedSessionOptions, repository: SessionRepository) => new PurgeTimer(repository, purgeInterval),
  },
  {
    provide: SessionEventListeners,
    inject: [SessionEvents, DiscoveryService, MetadataScanner],
    useFactory: (events: SessionEvents, discovery: DiscoveryService, scanner: MetadataScanner) =>
      new SessionEventListeners(events, discovery, scanner),
  },
  {
    provide: SessionService,
    inject: [RequestSessions, SessionLifecycle, SessionListing, SessionRevocation, SessionStore, SessionEvents, SessionRepository],
    useFactory: (
      requests: RequestSessions,
      lifecycle: SessionLifecycle,
      listing: SessionListing,
      revocation: SessionRevocation,
      stored: SessionStore,
      events: SessionEvents,
      repository: SessionRepository,
    ) => new SessionService({ requests, lifecycle, listing, revocation, stored, events, repository }),
  },
];

/** @throws SessionOptionsError when there is a limit, and a back end that cannot tell how many sessions a principal has. */
function createLimit(
  options: ResolvedSessionOptions,
  listing: SessionListing,
  revocation: SessionRevocation,
  stored: SessionStore,
): PrincipalLimit | undefined {
  const { maxSessionsPerPrincipal: max, onMaxSessions, type, repository } = options;
  if (max === undefined || (type === 'null' && repository === undefined)) return undefined;
  if (!listing.isSupported) {
    throw new SessionOptionsError([
      `'maxSessionsPerPrincipal' is ${max}; allowed: nothing, because ${listing.backEnd} cannot list the sessions of a principal`,
    ]);
  }
  return new PrincipalLimit(max, onMaxSessions, listing, revocation, stored);
}

function nameOf({ type, repository: given }: ResolvedSessionOptions, repository: SessionRepository): string {
  return given === undefined ? `type '${type}'` : `the repository ${repository.constructor.name}`;
}
