import { SessionOptionsError, TooManySessionsError } from '../errors.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import type { SessionLimit } from '../session/session-manager.js';
import type { SessionStore } from '../storage/session-store.js';
import { SessionQueue } from '../session/session-writer.js';
import type { ListedSession, SessionListing } from './session-listing.js';
import type { SessionRevocation } from './session-revocation.js';

/** Sessions of a principal that are read at once. */
const PAGE = 200;

/**
 * The option `maxSessionsPerPrincipal`. A log-in stores its session first and then ends the longest unused ones of the others,
 * so the last of several log-ins sees all there are: in the end no principal has more than its share.
 */
class PrincipalLimit implements SessionLimit {
  /** Log-ins of one user in this process take turns, so that two at the same time do not end each other. */
  private readonly turns = new SessionQueue<undefined>();

  constructor(
    private readonly max: number,
    private readonly onExceeded: ResolvedSessionOptions['onMaxSessions'],
    private readonly listing: SessionListing,
    private readonly revocation: SessionRevocation,
    private readonly stored: SessionStore,
  ) {}

  /** @throws TooManySessionsError */
  async admit(principal: string): Promise<void> {
    if (this.onExceeded !== 'reject') return;
    const count = await this.listing.count('count', principal);
    if (count >= this.max) throw new TooManySessionsError(this.max);
  }

  async enforce(principal: string, handle: string): Promise<void> {
    if (this.onExceeded !== 'evict-oldest') return;
    await this.turns.take(principal, () => this.evict(principal, handle));
  }

  private async evict(principal: string, handle: string): Promise<undefined> {
    const others: ListedSession[] = [];
    let isAlive = false;
    for await (const page of this.listing.pages('list', PAGE, principal)) {
      for (const session of page) {
        if (session.handle === handle) isAlive = true;
        else others.push(session);
      }
    }
    const surplus = others.length + 1 - this.max;
    // A log-in right after this one may have ended it already.
    if (!isAlive || surplus <= 0) return;
    const lastUse = (session: ListedSession): number => this.stored.lastUseOf(session.stored);
    const oldestFirst = others.sort((a, b) => lastUse(a) - lastUse(b));
    await this.revocation.endAll(oldestFirst.slice(0, surplus));
  }
}

/** @throws SessionOptionsError when there is a limit, and a back end that cannot tell how many sessions a principal has. */
export function createLimit(
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
