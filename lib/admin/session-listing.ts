import { Inject, Injectable } from '@nestjs/common';
import { SessionListingNotSupportedError } from '../errors.js';
import { RESOLVED_OPTIONS, type ResolvedSessionOptions } from '../options/resolved-options.js';
import { isListable, type ListableSessionRepository, type ListedRecord, SessionRepository } from '../repositories/session-repository.js';
import type { SessionContent } from '../storage/record.codec.js';
import { isSession, SessionStore, type StoredSession } from '../storage/session-store.js';

/** Counting all sessions may take a store that much longer than an operation on one of them. */
const PATIENCE = 10;

/** A stored session and its name. */
export interface ListedSession {
  readonly handle: string;
  readonly stored: StoredSession<SessionContent>;
}

export interface ListingPage {
  readonly sessions: ListedSession[];
  readonly cursor: string | undefined;
}

/** The sessions in the store, page by page. What is there but is no living session, or cannot be read, is left out. */
@Injectable()
export class SessionListing {
  constructor(
    private readonly repository: SessionRepository,
    private readonly stored: SessionStore,
    @Inject(RESOLVED_OPTIONS) private readonly options: Pick<ResolvedSessionOptions, 'type' | 'repository' | 'storeTimeout'>,
  ) {}

  /** What the back end is called in messages. */
  get backEnd(): string {
    const { type, repository } = this.options;
    return repository === undefined ? `type '${type}'` : `the repository ${this.repository.constructor.name}`;
  }

  get isSupported(): boolean {
    return isListable(this.repository);
  }

  /** @throws SessionListingNotSupportedError when the back end cannot list. */
  async page(operation: string, limit: number, principal?: string, cursor?: string): Promise<ListingPage> {
    const repository = this.listable(operation);
    const page = await this.stored.list(repository, { principal, cursor, limit });
    const sessions: ListedSession[] = [];
    for (const record of page.records) {
      const stored = this.decode(record);
      // An index may be behind the sessions it leads to.
      if (stored === undefined || (principal !== undefined && this.stored.principalOf(stored.content) !== principal)) continue;
      sessions.push({ handle: record.handle, stored });
    }
    return { sessions, cursor: page.cursor };
  }

  /** The pages one after the other. What happens to the sessions of a page meanwhile does not disturb the next one. */
  async *pages(operation: string, size: number, principal: string): AsyncGenerator<ListedSession[], void> {
    let cursor: string | undefined;
    do {
      const page: ListingPage = await this.page(operation, size, principal, cursor);
      yield page.sessions;
      cursor = page.cursor;
    } while (cursor !== undefined);
  }

  /** @throws SessionListingNotSupportedError when the back end cannot list. */
  async count(operation: string, principal?: string): Promise<number> {
    const repository = this.listable(operation);
    return this.stored.count(repository, principal, this.options.storeTimeout * PATIENCE);
  }

  private listable(operation: string): ListableSessionRepository {
    if (!isListable(this.repository)) throw new SessionListingNotSupportedError(operation, this.backEnd);
    return this.repository;
  }

  private decode(record: ListedRecord): StoredSession<SessionContent> | undefined {
    try {
      const stored = this.stored.decode(record.handle, record);
      return isSession(stored) ? stored : undefined;
    } catch (error) {
      return this.stored.reportUnreadable(error, 'it is left out of the listing');
    }
  }
}
