import { Injectable } from '@nestjs/common';
import { UnreadableRecordError } from '../errors.js';
import { SessionEvents } from '../storage/session-events.js';
import { SessionWriter } from '../session/session-writer.js';
import { isRetired, isSession, type StoredSession, SessionStore } from '../storage/session-store.js';
import { type ListedSession, SessionListing } from './session-listing.js';

/** Sessions read, and then ended, in one go. */
const BATCH = 500;
/** Ends that are under way at the same time: not so many that they wait for one another's connections past their deadline. */
const PARALLEL = 20;
/** A session that gets another id while the list is read is found in the next pass. It may get one again and again. */
const PASSES = 5;

/** Ends sessions of others: at once for every process, wherever a session went meanwhile, and against requests in flight. */
@Injectable()
export class SessionRevocation {
  constructor(
    private readonly stored: SessionStore,
    private readonly writer: SessionWriter,
    private readonly listing: SessionListing,
    private readonly events: SessionEvents,
  ) {}

  /** @returns whether there was such a session. */
  async revoke(handle: string): Promise<boolean> {
    const found = await this.read(handle);
    if (found === 'unreadable') return this.stored.delete(handle);
    if (isSession(found)) return this.end({ handle, stored: found });
    const to = isRetired(found) ? found.content.to : undefined;
    return to === undefined ? false : this.revoke(to);
  }

  /** @returns how many there were. */
  async revokeAll(principal: string, except: ReadonlySet<string>): Promise<number> {
    let revoked = 0;
    for (let pass = 0, isComplete = false; pass < PASSES && !isComplete; pass++) {
      isComplete = true;
      for await (const page of this.listing.pages('revokeAll', BATCH, principal)) {
        const victims = page.filter(({ handle }) => !except.has(handle));
        const ended = await this.endAll(victims);
        revoked += ended;
        if (ended < victims.length) isComplete = false;
      }
    }
    return revoked;
  }

  /** @returns how many of them were still there. */
  async endAll(sessions: readonly ListedSession[]): Promise<number> {
    let ended = 0;
    for (let start = 0; start < sessions.length; start += PARALLEL) {
      const results = await Promise.all(sessions.slice(start, start + PARALLEL).map((session) => this.end(session)));
      ended += results.filter(Boolean).length;
    }
    return ended;
  }

  private async end({ handle, stored }: ListedSession): Promise<boolean> {
    const ended = await this.writer.end({ handle, base: stored });
    if (ended === undefined) return false;
    if (this.events.isObserved) this.events.emit({ type: 'revoked', handle: ended, principal: this.stored.principalOf(stored.content) });
    return true;
  }

  private async read(handle: string): Promise<StoredSession | 'unreadable' | undefined> {
    try {
      return await this.stored.read(handle);
    } catch (error) {
      if (error instanceof UnreadableRecordError) return 'unreadable';
      throw error;
    }
  }
}
