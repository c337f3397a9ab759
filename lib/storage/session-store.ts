import { HttpException, Logger } from '@nestjs/common';
import { hash } from 'node:crypto';
import { SessionStoreError, SessionStoreTimeoutError, UnreadableRecordError } from '../errors.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import type { SessionRecord, SessionRepository, SessionVersion, StoredRecord } from '../repositories/session-repository.js';
import type { SerializerRegistry } from './serializer-registry.js';
import type { RecordContent, RetiredContent, SessionContent, RecordCodec } from './record.codec.js';
import { NO_TELEMETRY, type SessionTelemetry } from '../telemetry/session-telemetry.js';
import { withTimeout } from '../common/with-timeout.js';
import { Attribute } from './record-fields.js';
import { SessionEvents } from '../session/session-events.js';

/** A session or what is left of one, with the version an update is based on. */
export interface StoredSession<C extends RecordContent = RecordContent> {
  readonly version: SessionVersion;
  readonly content: C;
  /** Milliseconds until the store forgets it, where the store tells. */
  readonly remaining?: number | undefined;
}

/** A session, and the handle that it has by now. */
export interface Followed {
  readonly handle: string;
  readonly base: StoredSession<SessionContent>;
}

export type StoredUpdate = { readonly status: 'updated'; readonly version: SessionVersion } | { readonly status: 'conflict' | 'gone' };

/** How often a session may have got a new id while one request looked for it. */
const MAX_HOPS = 8;

const logger = new Logger('ServerSession');

/**
 * The repository, seen from the session's side: contents instead of bytes, absolute rules instead of lifetimes, a deadline
 * for every operation, and one kind of error.
 */
export class SessionStore {
  constructor(
    private readonly repository: SessionRepository,
    private readonly codec: RecordCodec,
    private readonly serializers: SerializerRegistry,
    private readonly options: ResolvedSessionOptions,
    private readonly events = new SessionEvents(),
    private readonly telemetry: SessionTelemetry = NO_TELEMETRY,
  ) {}

  /** @returns the version, or undefined when the handle is taken. */
  async create(handle: string, content: SessionContent): Promise<SessionVersion | undefined> {
    return this.ask('create a session', () => this.repository.create(handle, this.record(handle, content), this.lifetimeOf(content)));
  }

  /**
   * @param touch whether to extend the session along with the read.
   * @throws UnreadableRecordError when there is a record that cannot be read.
   */
  async read(handle: string, touch = false, timeout?: number): Promise<StoredSession | undefined> {
    const lifetime = touch ? this.options.lifetime : undefined;
    const stored = await this.ask('read a session', () => this.repository.read(handle, lifetime), timeout);
    if (stored === undefined) return undefined;
    const found = this.open(handle, stored);
    if (!hasEnded(found.content)) return found;
    if (found.content.kind === 'session') await this.expire(handle, found.content);
    return undefined;
  }

  /** Reads as `read` does. What cannot be read counts as none, and gives one line in the log. */
  find(handle: string, touch = false, timeout?: number): Promise<StoredSession | undefined> {
    return this.read(handle, touch, timeout).catch(reportUnreadable);
  }

  /** The session under a handle, or where it went from there. What cannot be read counts as none. */
  async follow(handle: string, timeout?: number): Promise<Followed | undefined> {
    for (let next: string | undefined = handle, hops = 0; next !== undefined && hops < MAX_HOPS; hops++) {
      const found: StoredSession | undefined = await this.find(next, false, timeout);
      if (isSession(found)) return { handle: next, base: found };
      next = isRetired(found) ? found.content.to : undefined;
    }
    return undefined;
  }

  /**
   * Reads for administration: extends nothing, and tells what remains where the store can say so. What cannot be read counts
   * as none.
   */
  async peek(handle: string): Promise<StoredSession | undefined> {
    const { repository } = this;
    try {
      const stored = await this.ask('read a session', () => repository.peek?.(handle) ?? repository.read(handle));
      return stored && this.decode(handle, stored);
    } catch (error) {
      return reportUnreadable(error);
    }
  }

  /** @throws UnreadableRecordError when the record cannot be read. */
  decode(handle: string, stored: StoredRecord): StoredSession | undefined {
    const found = this.open(handle, stored);
    return hasEnded(found.content) ? undefined : found;
  }

  async update(handle: string, content: RecordContent, base: SessionVersion, timeout?: number): Promise<StoredUpdate> {
    const ttl = this.lifetimeOf(content);
    if (ttl <= 0) return { status: 'gone' };
    const update = (): Promise<StoredUpdate> => this.repository.update(handle, this.record(handle, content), base, ttl);
    const result = await this.ask('update a session', update, timeout);
    if (result.status === 'conflict') this.telemetry.count('conflicts');
    return result;
  }

  async delete(handle: string): Promise<boolean> {
    return this.ask('delete a session', () => this.repository.delete(handle));
  }

  /** What the store's index knows a principal by: the name itself, or its hash where records are encrypted. */
  indexedPrincipal(principal: string): string {
    return this.options.encryption ? hash('sha256', `principal:${principal}`, 'base64url') : principal;
  }

  /** The principal of a session, or undefined. */
  principalOf(content: SessionContent): string | undefined {
    const bytes = content.fields.get(Attribute.principal);
    try {
      const principal = bytes && this.serializers.current.deserialize(bytes);
      return typeof principal === 'string' ? principal : undefined;
    } catch {
      return undefined; // Damaged: it belongs to nobody any more. Whoever reads the field is told so in the log.
    }
  }

  /** Milliseconds from now that a record has to live: the idle time, but not past the absolute deadline. */
  lifetimeOf(content: RecordContent): number {
    const { lifetime, regenerateGrace } = this.options;
    if (content.kind === 'retired') {
      // Not longer than the grace even where another process, with a clock that is ahead, wrote it.
      const longest = content.to === undefined ? lifetime : regenerateGrace;
      return Math.max(1, Math.min(content.until - Date.now(), longest));
    }
    return content.deadline === undefined ? lifetime : Math.min(lifetime, content.deadline - Date.now());
  }

  /** Epoch milliseconds of the last use: as written, or as what remains of the lifetime tells of a touch since. */
  lastUseOf({ content, remaining }: StoredSession<SessionContent>): number {
    return remaining === undefined ? content.accessedAt : Math.max(content.accessedAt, Date.now() + remaining - this.options.lifetime);
  }

  /** Epoch milliseconds of the end of a session that is not used again. */
  expiryOf({ content, remaining }: StoredSession<SessionContent>): number {
    const idle = remaining === undefined ? content.accessedAt + this.options.lifetime : Date.now() + remaining;
    return Math.min(idle, content.deadline ?? idle);
  }

  /**
   * Asks the repository, within the deadline. What it throws becomes a 503, except what only the record is to blame for.
   *
   * @param operation a verb first: it names the operation in telemetry.
   */
  ask<T>(operation: string, question: () => Promise<T>, timeout = this.options.storeTimeout): Promise<T> {
    const late = (): Error => new SessionStoreTimeoutError(operation, timeout);
    const explain = (cause: unknown): Error =>
      cause instanceof UnreadableRecordError || cause instanceof HttpException ? cause : new SessionStoreError(operation, cause);
    return this.telemetry.store(operation, () => withTimeout(asked(question), timeout, late, explain));
  }

  private open(handle: string, { payload, version, remaining }: StoredRecord): StoredSession {
    const content = this.codec.decode(handle, payload);
    return { version, remaining, content: content.kind === 'session' ? this.serializers.convert(content) : content };
  }

  /** The store keeps it a little longer than it lives: a touch knows no deadline. */
  private async expire(handle: string, content: SessionContent): Promise<void> {
    if (!(await this.delete(handle))) return;
    this.telemetry.count('expired');
    this.events.emit({ type: 'expired', handle, principal: this.principalOf(content) });
  }

  private record(handle: string, content: RecordContent): SessionRecord {
    const principal = content.kind === 'session' ? this.principalOf(content) : undefined;
    return {
      payload: this.codec.encode(handle, content),
      principal: principal === undefined ? undefined : this.indexedPrincipal(principal),
    };
  }
}

/** A repository that throws at once has failed like one that rejects. */
function asked<T>(question: () => Promise<T>): Promise<T> {
  try {
    return question();
  } catch (cause) {
    return Promise.reject(cause as Error);
  }
}

function reportUnreadable(error: unknown): undefined {
  if (!(error instanceof UnreadableRecordError)) throw error;
  logger.warn(`${error.message}; it counts as no session`);
  return undefined;
}

/** Whether the record itself says that it is over, even where the store has not removed it yet. */
function hasEnded(content: RecordContent): boolean {
  const end = content.kind === 'retired' ? content.until : content.deadline;
  return end !== undefined && end <= Date.now();
}

/** Whether two states of a session belong to the same user, or both to nobody. */
export function hasSamePrincipal(a: SessionContent, b: SessionContent): boolean {
  const [before, now] = [a.fields.get(Attribute.principal), b.fields.get(Attribute.principal)];
  return before === now || (before !== undefined && now !== undefined && before.equals(now));
}

export function isSession(stored: StoredSession | undefined): stored is StoredSession<SessionContent> {
  return stored?.content.kind === 'session';
}

export function isRetired(stored: StoredSession | undefined): stored is StoredSession<RetiredContent> {
  return stored?.content.kind === 'retired';
}
