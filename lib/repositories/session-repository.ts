/**
 * The state of a record that an update is based on. Opaque: only the repository that issued it can read it.
 */
export type SessionVersion = string;

/** What the layers above hand to a repository to keep. */
export interface SessionRecord {
  /** Opaque bytes: metadata and data, serialized and perhaps encrypted. */
  readonly payload: Uint8Array;
  /** Whom the session belongs to, for repositories that can list by it. */
  readonly principal?: string | undefined;
}

/** A record as the store has it. */
export interface StoredRecord extends SessionRecord {
  /** Names this state of the record; an update is based on it. */
  readonly version: SessionVersion;
  /** Milliseconds until the store forgets the record, where the store tells without another command. */
  readonly remaining?: number | undefined;
}

/**
 * The end of an update:
 * - `updated`: stored; `version` names the new state.
 * - `conflict`: the record has another version by now; nothing was written.
 * - `gone`: there is no such record (deleted, expired, evicted); nothing was written.
 */
export type UpdateResult =
  { readonly status: 'updated'; readonly version: SessionVersion } | { readonly status: 'conflict' } | { readonly status: 'gone' };

/**
 * Where sessions are kept. The abstract class is also the injection token of the chosen back end.
 *
 * A repository knows handles, bytes, versions and lifetimes, and nothing else: merging, expiry rules, encryption,
 * limits and deadlines live once, above it. What each method promises is what `describeSessionRepository` of
 * `nestjs-server-session/testing` checks.
 *
 * For all methods:
 * - `handle` is 1 to 128 characters of `A-Z a-z 0-9 - _`, and names one session for ever: handles are never reused.
 * - A lifetime (`ttl`) is in milliseconds, counts from now, and by the clock of the store where it has one.
 * - A record past its lifetime is as good as deleted: nothing reads, updates or extends it.
 * - A rejection means that the store could not answer. An absent record is an answer, never a rejection.
 * - A record whose bytes cannot even be split into version and payload is an `UnreadableRecordError`.
 */
export abstract class SessionRepository {
  /**
   * Stores a new record; never replaces one.
   *
   * @returns its version, or undefined when the handle is taken (the record there is untouched).
   */
  abstract create(handle: string, record: SessionRecord, ttl: number): Promise<SessionVersion | undefined>;

  /**
   * Reads a record in one command.
   *
   * @param touch a lifetime to give the record along with the read, atomically where the store can; an absent record
   *   stays absent.
   */
  abstract read(handle: string, touch?: number): Promise<StoredRecord | undefined>;

  /**
   * Reads a record for administration, with `remaining` even where that takes the store another command; never extends it.
   * To be left out where `read` tells `remaining` anyway, or the store cannot.
   */
  peek?(handle: string): Promise<StoredRecord | undefined>;

  /**
   * Replaces a record if it still has the version `base`, and gives it a new lifetime, all atomically; never inserts.
   */
  abstract update(handle: string, record: SessionRecord, base: SessionVersion, ttl: number): Promise<UpdateResult>;

  /**
   * Deletes a record. An update that is under way must fail from here on. Works also where the store has no room left.
   *
   * @param base delete the record only if it still has this version, atomically where the store can. Without it, a record of any
   *   version.
   * @returns whether a record was deleted.
   */
  abstract delete(handle: string, base?: SessionVersion): Promise<boolean>;

  /**
   * Removes expired records, for stores that do not do it themselves.
   *
   * @returns how many were removed.
   */
  purgeExpired?(): Promise<number>;

  /** Opens what the repository needs; called once, when the application starts. A dead server is no reason to reject. */
  onModuleInit?(): void | Promise<void>;

  /** Closes what the repository itself opened, and nothing that the application handed to it. */
  onApplicationShutdown?(): void | Promise<void>;
}

/** A record in a listing. */
export interface ListedRecord extends StoredRecord {
  readonly handle: string;
}

/** One page of a listing. */
export interface RecordPage {
  readonly records: readonly ListedRecord[];
  /** Hands the listing on to the next page; undefined on the last one. */
  readonly cursor?: string | undefined;
}

/** Which records a listing is about. */
export interface ListQuery {
  /** Only the sessions of this principal. */
  readonly principal?: string | undefined;
  /** From the page before. */
  readonly cursor?: string | undefined;
  /** At most about so many records a page; a page may hold fewer, or none, and still have a successor. */
  readonly limit: number;
}

/**
 * The second, optional capability of a repository: to list what it holds. Listing never touches a lifetime, and
 * expired records are not listed.
 */
export interface ListableSessionRepository extends SessionRepository {
  list(query: ListQuery): Promise<RecordPage>;
  count(query: { readonly principal?: string | undefined }): Promise<number>;
}

/** Whether a repository can list. */
export function isListable(repository: SessionRepository): repository is ListableSessionRepository {
  return 'list' in repository && typeof repository.list === 'function';
}

/** Whether a value can be a handle at all: what administration is given may come from a URL. */
export function isHandle(handle: unknown): handle is string {
  return typeof handle === 'string' && /^[\w-]{1,128}$/.test(handle);
}
