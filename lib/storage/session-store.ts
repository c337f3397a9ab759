import { Inject, Injectable } from '@nestjs/common';
import {
  InvalidSessionCursorError,
  SessionListingNotSupportedError,
  SessionStoreError,
  SessionStoreTimeoutError,
  UnreadableRecordError,
} from '../errors.js';
import { RESOLVED_OPTIONS, type ResolvedSessionOptions } from '../options/resolved-options.js';
import { MAX_DURATION } from '../common/option-reader.js';
import { assertPrincipal, isPrincipal } from '../common/principal.js';
import { RepeatedWarning } from '../common/repeated-warning.js';
import { withTimeout } from '../common/with-timeout.js';
import {
  type ListableSessionRepository,
  type ListedRecord,
  type ListQuery,
  type RecordPage,
  type SessionRecord,
  SessionRepository,
  type SessionVersion,
  type StoredRecord,
} from '../repositories/session-repository.js';
import { SessionEvents } from './session-events.js';
import { SessionTelemetry } from '../telemetry/session-telemetry.js';
import { PrincipalNames } from './record.cipher.js';
import {
  Attribute,
  RecordCodec,
  type RecordContent,
  type RetiredContent,
  type SerializedFields,
  type SessionContent,
} from './record.codec.js';
import { SerializerRegistry } from './serializers.js';

/** A session or what is left of one, with the version an update is based on. */
export interface StoredSession<C extends RecordContent = RecordContent> {
  readonly version: SessionVersion;
  readonly content: C;
  /** Milliseconds until the store forgets it, where the store tells. */
  readonly remaining?: number | undefined;
}

/** A session as it is stored: what an update is based on. */
export type Base = Pick<StoredSession<SessionContent>, 'version' | 'content'>;

/** Where a session is stored, and what stands there. */
export interface Place {
  readonly handle: string;
  readonly base: Base;
}

export type StoredUpdate = { readonly status: 'updated'; readonly version: SessionVersion } | { readonly status: 'conflict' | 'gone' };

/** How often a session may have got a new id while one request looked for it. */
const MAX_HOPS = 8;
/** What the cursors of all back ends look like, whatever they mean; those of Redis go on with handles that a scan found past the end of a page. */
const CURSOR = /^[\w.:@[\]%-]{1,260}(?:~[\w-]{1,128})*$/;
const LONGEST_CURSOR = 20_000;
/** A cursor of a listing that goes through several names of a principal: which one, and the cursor of the back end. */
const CURSOR_OF_NAME = /^(\d{1,3})\.(.*)$/s;

/**
 * The repository, seen from the session's side: contents instead of bytes, absolute rules instead of lifetimes, a deadline
 * for every operation, and one kind of error.
 */
@Injectable()
export class SessionStore {
  private readonly unreadable = new RepeatedWarning();
  private readonly principalNames: PrincipalNames;

  constructor(
    private readonly repository: SessionRepository,
    private readonly codec: RecordCodec,
    private readonly serializers: SerializerRegistry,
    @Inject(RESOLVED_OPTIONS) private readonly options: ResolvedSessionOptions,
    private readonly events: SessionEvents,
    private readonly telemetry: SessionTelemetry,
  ) {
    this.principalNames = new PrincipalNames(options.encryption?.keys);
  }

  /** @returns the version, or undefined when the handle is taken. */
  async create(handle: string, content: RecordContent): Promise<SessionVersion | undefined> {
    const record = this.record(handle, content);
    const create = (): Promise<SessionVersion | undefined> => this.repository.create(handle, record, this.lifetimeOf(content));
    return this.ask('create a session', create, undefined, handle, record);
  }

  /**
   * @param touch a lifetime in milliseconds to give the session along with the read.
   * @throws UnreadableRecordError when there is a record that cannot be read.
   */
  async read(handle: string, touch?: number, timeout?: number): Promise<StoredSession | undefined> {
    const stored = await this.ask('read a session', () => this.repository.read(handle, touch), timeout, handle);
    if (stored === undefined) return undefined;
    const found = this.open(handle, stored);
    if (!hasEnded(found.content)) return found;
    if (found.content.kind === 'session') await this.expire(handle, found.content);
    return undefined;
  }

  /** Reads as `read` does. What cannot be read counts as none, and is logged. */
  find(handle: string, touch?: number, timeout?: number): Promise<StoredSession | undefined> {
    return this.read(handle, touch, timeout).catch((error: unknown) => this.reportUnreadable(error));
  }

  /** The session under a handle, or where it went from there. What cannot be read counts as none. */
  async follow(handle: string, timeout?: number): Promise<Place | undefined> {
    for (let next: string | undefined = handle, hops = 0; next !== undefined && hops < MAX_HOPS; hops++) {
      const found: StoredSession | undefined = await this.find(next, undefined, timeout);
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
      const stored = await this.ask('read a session', () => repository.peek?.(handle) ?? repository.read(handle), undefined, handle);
      return stored && this.decode(handle, stored);
    } catch (error) {
      return this.reportUnreadable(error);
    }
  }

  /** @throws UnreadableRecordError when the record cannot be read. */
  decode(handle: string, stored: StoredRecord): StoredSession | undefined {
    const found = this.open(handle, stored);
    return hasEnded(found.content) ? undefined : found;
  }

  /**
   * Logs what cannot be read, once in a while, and lets it count as none.
   *
   * @throws any error that is not an UnreadableRecordError.
   */
  reportUnreadable(error: unknown, consequence = 'it counts as no session'): undefined {
    if (!(error instanceof UnreadableRecordError)) throw error;
    this.unreadable.warn(`${error.message}; ${consequence}`);
    return undefined;
  }

  async update(handle: string, content: RecordContent, base: SessionVersion, timeout?: number): Promise<StoredUpdate> {
    const ttl = this.lifetimeOf(content);
    if (ttl <= 0) return { status: 'gone' };
    const record = this.record(handle, content);
    const update = (): Promise<StoredUpdate> => this.repository.update(handle, record, base, ttl);
    const result = await this.ask('update a session', update, timeout, handle, record);
    if (result.status === 'conflict') this.telemetry.count('conflicts');
    return result;
  }

  /** @param base delete it only if it still has this version. */
  async delete(handle: string, base?: SessionVersion): Promise<boolean> {
    return this.ask('delete a session', () => this.repository.delete(handle, base), undefined, handle);
  }

  /**
   * A page of records. A principal may stand in the index under several names where records are encrypted; they are gone through one
   * after the other, the one that is written now last, so that a session that is stored again meanwhile is not missed.
   *
   * @param repository the one of this store, which can list.
   * @throws InvalidSessionCursorError for a cursor that no page gave; TypeError for what is no principal.
   */
  async list(repository: ListableSessionRepository, { principal, cursor, limit }: ListQuery): Promise<RecordPage> {
    const names = this.namesOf(principal).toReversed();
    let [at, inner] = this.resume(cursor, names.length);
    const records: ListedRecord[] = [];
    for (; at < names.length; at++) {
      if (records.length >= limit) return { records, cursor: `${at}.` };
      const query: ListQuery = { principal: names[at], cursor: inner, limit: limit - records.length };
      const page = await this.ask('list sessions', () => repository.list(query), undefined, principal);
      records.push(...page.records);
      if (page.cursor !== undefined) return { records, cursor: names.length === 1 ? page.cursor : `${at}.${page.cursor}` };
      inner = undefined;
    }
    return { records };
  }

  /**
   * How many records there are, of a principal or of all.
   *
   * @param timeout milliseconds for each name of the principal.
   * @throws TypeError for what is no principal.
   */
  async count(repository: ListableSessionRepository, principal: string | undefined, timeout: number): Promise<number> {
    let count = 0;
    for (const name of this.namesOf(principal))
      count += await this.ask('count sessions', () => repository.count({ principal: name }), timeout, principal);
    return count;
  }

  /** What a principal may be called in the index, the name that is written now first; undefined alone for all sessions. */
  private namesOf(principal: string | undefined): readonly (string | undefined)[] {
    if (principal === undefined) return [undefined];
    assertPrincipal(principal);
    return this.principalNames.of(principal);
  }

  private resume(cursor: unknown, names: number): [at: number, inner: string | undefined] {
    if (cursor === undefined) return [0, undefined];
    if (typeof cursor !== 'string' || cursor.length > LONGEST_CURSOR || !CURSOR.test(cursor)) throw new InvalidSessionCursorError();
    if (names === 1) return [0, cursor];
    const [, at, inner] = CURSOR_OF_NAME.exec(cursor) ?? [];
    if (at === undefined || Number(at) >= names) throw new InvalidSessionCursorError();
    return [Number(at), inner === '' ? undefined : inner];
  }

  /** The principal of a session, or undefined. */
  principalOf(content: SessionContent): string | undefined {
    const principal = this.attributeOf(content.fields, Attribute.principal);
    return isPrincipal(principal) ? principal : undefined;
  }

  /** A damaged attribute counts as absent. The request that reads the field gets a line in the log. */
  private attributeOf(fields: SerializedFields, attribute: string): unknown {
    const bytes = fields.get(attribute);
    try {
      return bytes && this.serializers.current.deserialize(bytes);
    } catch {
      return undefined;
    }
  }

  /** Milliseconds from now that a record has to live: the idle time, but not past the absolute deadline. */
  lifetimeOf(content: RecordContent): number {
    const { regenerateGrace } = this.options;
    // Not longer than the grace even where another process, with a clock that is ahead, wrote it.
    if (content.kind === 'retired') {
      const longest = content.claim === undefined ? regenerateGrace : Infinity;
      return Math.max(1, Math.min(content.until - Date.now(), longest));
    }
    const lifetime = this.idleLifetimeOf(content);
    return content.deadline === undefined ? lifetime : Math.min(lifetime, content.deadline - Date.now());
  }

  /** Milliseconds that a session lives since its last use: its own lifetime, or that of the options. */
  idleLifetimeOf({ fields }: SessionContent): number {
    const own = this.attributeOf(fields, Attribute.lifetime);
    return typeof own === 'number' && own > 0 ? Math.min(own, MAX_DURATION) : this.options.lifetime;
  }

  /** Epoch milliseconds of the last use: as written, or as what remains of the lifetime tells of a touch since. */
  lastUseOf({ content, remaining }: StoredSession<SessionContent>): number {
    return remaining === undefined
      ? content.accessedAt
      : Math.max(content.accessedAt, Date.now() + remaining - this.idleLifetimeOf(content));
  }

  /** Epoch milliseconds of the end of a session that is not used again. */
  expiryOf({ content, remaining }: StoredSession<SessionContent>): number {
    const now = Date.now();
    const idle = remaining === undefined ? Math.min(content.accessedAt, now) + this.idleLifetimeOf(content) : now + remaining;
    return Math.min(idle, content.deadline ?? idle);
  }

  /**
   * Asks the repository, within the deadline. What it throws becomes a 503, except where the record or the caller is at
   * fault.
   *
   * @param operation a verb first: it names the operation in telemetry.
   * @param secrets what the question is about: nothing of it stands in the error.
   */
  ask<T>(operation: string, question: () => Promise<T>, timeout = this.options.storeTimeout, ...secrets: readonly unknown[]): Promise<T> {
    const late = (): Error => new SessionStoreTimeoutError(operation, timeout);
    const explain = (cause: unknown): Error =>
      isOurs(cause) ? cause : new SessionStoreError(operation, cause, ...secrets.flatMap(partsOf));
    return this.telemetry.store(operation, () => withTimeout(asked(question), timeout, late, explain));
  }

  private open(handle: string, { payload, version, remaining }: StoredRecord): StoredSession {
    const content = this.codec.decode(handle, payload);
    if (content.kind === 'session') return { version, remaining, content: this.toContent(content) };
    return { version, remaining, content: { ...content, seen: content.seen && this.toContent(content.seen) } };
  }

  /** A stored session in the form and by the rules of this process. */
  private toContent(stored: SessionContent): SessionContent {
    return this.bounded(this.serializers.convert(stored));
  }

  /**
   * Bounds the instants of a record that was written with another `absoluteLifetime`, or by a process whose clock was ahead: the session
   * began now at the latest, and a cookie that was sent in the future is due.
   */
  private bounded(content: SessionContent): SessionContent {
    const { absoluteLifetime } = this.options;
    const now = Date.now();
    const createdAt = Math.min(content.createdAt, now);
    const cookieAt = content.cookieAt > now ? 0 : content.cookieAt;
    const deadline =
      absoluteLifetime === undefined ? content.deadline : Math.min(content.deadline ?? Infinity, createdAt + absoluteLifetime);
    const isSame = createdAt === content.createdAt && cookieAt === content.cookieAt && deadline === content.deadline;
    return isSame ? content : { ...content, createdAt, cookieAt, deadline };
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
      principal: principal === undefined ? undefined : this.principalNames.of(principal)[0],
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

/** Errors of this package that say what is wrong themselves. Any other, of Nest too, may hold what the application put there. */
function isOurs(error: unknown): error is Error {
  return (
    error instanceof UnreadableRecordError ||
    error instanceof SessionStoreError ||
    error instanceof InvalidSessionCursorError ||
    error instanceof SessionListingNotSupportedError
  );
}

/** A record, as what of it a client may repeat in a message. */
function partsOf(secret: unknown): unknown[] {
  if (typeof secret !== 'object' || secret === null || !('payload' in secret)) return [secret];
  const { payload, principal } = secret as SessionRecord;
  return [payload, principal];
}

/** Whether the record itself says that it is over, even where the store has not removed it yet. */
function hasEnded(content: RecordContent): boolean {
  const end = content.kind === 'retired' ? content.until : content.deadline;
  return end !== undefined && end <= Date.now();
}

/** Whether two states of a session belong to the same user, or both to none. */
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
