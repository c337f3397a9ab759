import { HttpException } from '@nestjs/common';
import { hash } from 'node:crypto';
import { SessionStoreError, SessionStoreTimeoutError, UnreadableRecordError } from '../errors/session.errors.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import type { SessionRecord, SessionRepository, SessionVersion, StoredRecord } from '../repositories/session-repository.js';
import type { SerializerRegistry } from '../serialization/serializer-registry.js';
import type { RecordContent, RetiredContent, SessionContent, StoredRecordCodec } from '../serialization/stored-record.codec.js';
import { withDeadline } from './deadline.js';
import { FieldKind } from './field-changes.js';

/** A session or what is left of one, with the version an update is based on. */
export interface Stored<C extends RecordContent = RecordContent> {
  readonly version: SessionVersion;
  readonly content: C;
  /** Milliseconds until the store forgets it, where the store tells. */
  readonly remaining?: number | undefined;
}

export type StoredUpdate = { readonly status: 'updated'; readonly version: SessionVersion } | { readonly status: 'conflict' | 'gone' };

/**
 * The repository, seen from the session's side: contents instead of bytes, absolute rules instead of lifetimes, a deadline
 * for every operation, and one kind of error.
 */
export class StoredSessions {
  constructor(
    private readonly repository: SessionRepository,
    private readonly codec: StoredRecordCodec,
    private readonly serializers: SerializerRegistry,
    private readonly options: ResolvedSessionOptions,
  ) {}

  /** @returns the version, or undefined when the handle is taken. */
  async create(handle: string, content: SessionContent): Promise<SessionVersion | undefined> {
    return this.ask('create a session', () => this.repository.create(handle, this.record(handle, content), this.lifetimeOf(content)));
  }

  /**
   * @param touch whether to extend the session along with the read.
   * @throws UnreadableRecordError when there is a record that cannot be read.
   */
  async read(handle: string, touch = false): Promise<Stored | undefined> {
    const stored = await this.ask('read a session', () => this.repository.read(handle, touch ? this.options.lifetime : undefined));
    return stored && this.decode(handle, stored);
  }

  /** @throws UnreadableRecordError when the record cannot be read. */
  decode(handle: string, stored: StoredRecord): Stored | undefined {
    const content = this.codec.decode(handle, stored.payload);
    const { version, remaining } = stored;
    if (hasEnded(content)) return undefined;
    return { version, remaining, content: content.kind === 'session' ? this.serializers.convert(content) : content };
  }

  async update(handle: string, content: RecordContent, base: SessionVersion): Promise<StoredUpdate> {
    const ttl = this.lifetimeOf(content);
    if (ttl <= 0) return { status: 'gone' };
    return this.ask('update a session', () => this.repository.update(handle, this.record(handle, content), base, ttl));
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
    const bytes = content.fields.get(`${FieldKind.attribute}principal`);
    const principal = bytes && this.serializers.current.deserialize(bytes);
    return typeof principal === 'string' ? principal : undefined;
  }

  /** Milliseconds from now that a record has to live: the idle time, but not past the absolute deadline. */
  lifetimeOf(content: RecordContent): number {
    if (content.kind === 'retired') return Math.max(1, content.until - Date.now());
    const { lifetime } = this.options;
    return content.deadline === undefined ? lifetime : Math.min(lifetime, content.deadline - Date.now());
  }

  /** Asks the repository, within the deadline. What it throws becomes a 503, except what only the record is to blame for. */
  async ask<T>(operation: string, question: () => Promise<T>): Promise<T> {
    const { storeTimeout } = this.options;
    try {
      return await withDeadline(question(), storeTimeout, () => new SessionStoreTimeoutError(operation, storeTimeout));
    } catch (error) {
      if (error instanceof UnreadableRecordError || error instanceof HttpException) throw error;
      throw new SessionStoreError(operation, error);
    }
  }

  private record(handle: string, content: RecordContent): SessionRecord {
    const principal = content.kind === 'session' ? this.principalOf(content) : undefined;
    return {
      payload: this.codec.encode(handle, content),
      principal: principal === undefined ? undefined : this.indexedPrincipal(principal),
    };
  }
}

/** Whether the record itself says that it is over, even where the store has not removed it yet. */
function hasEnded(content: RecordContent): boolean {
  const end = content.kind === 'retired' ? content.until : content.deadline;
  return end !== undefined && end <= Date.now();
}

export function isSession(stored: Stored | undefined): stored is Stored<SessionContent> {
  return stored?.content.kind === 'session';
}

export function isRetired(stored: Stored | undefined): stored is Stored<RetiredContent> {
  return stored?.content.kind === 'retired';
}
