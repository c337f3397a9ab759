import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { SessionRecord, SessionRepository, SessionVersion, StoredRecord } from '../repositories/session-repository.js';
import type { RepositoryTraits } from './repository-traits.js';

/** Makes a repository; called again, another one over the same store. */
export type RepositoryFactory = () => SessionRepository | Promise<SessionRepository>;

/** A lifetime that no case outlives, in milliseconds. */
export const LONG = 10 * 60 * 1000;

/** What the cases work on: one or two instances over the same store, and handles that nobody else uses. */
export class Fixture {
  private readonly issued = new Set<string>();
  private opened: { first: SessionRepository; second: SessionRepository } | undefined;

  constructor(
    private readonly factory: RepositoryFactory,
    readonly traits: Required<RepositoryTraits>,
  ) {}

  async open(): Promise<void> {
    const first = await this.make();
    this.opened = { first, second: this.traits.shared ? await this.make() : first };
  }

  /** Leaves nothing behind, not even after failed cases. */
  async close(): Promise<void> {
    if (this.opened === undefined) return;
    const { first, second } = this.opened;
    await Promise.allSettled([...this.issued].map((handle) => first.delete(handle)));
    await first.onApplicationShutdown?.();
    if (second !== first) await second.onApplicationShutdown?.();
  }

  /** The repository in question. */
  get repository(): SessionRepository {
    return this.instances.first;
  }

  /** Another process, as it were. */
  get other(): SessionRepository {
    return this.instances.second;
  }

  /** Another process that writes at the same time; the same one where the store cannot decide between two. */
  get rival(): SessionRepository {
    return this.traits.compareAndSet ? this.other : this.repository;
  }

  /** A handle like those of real sessions, never used before. */
  handle(): string {
    return this.use(randomBytes(32).toString('base64url'));
  }

  /** Many of them. */
  handles(count: number): string[] {
    return Array.from({ length: count }, () => this.handle());
  }

  /** A chosen handle, free of what an earlier run may have left. */
  async claim(handle: string): Promise<string> {
    await this.repository.delete(handle);
    return this.use(handle);
  }

  /** A new record under a new handle. */
  async stored(text = 'first', ttl = LONG, principal?: string): Promise<{ handle: string; version: SessionVersion }> {
    const handle = this.handle();
    return { handle, version: await this.create(handle, text, ttl, principal) };
  }

  /** Creates a record that must not be there yet. */
  async create(handle: string, text = 'first', ttl = LONG, principal?: string): Promise<SessionVersion> {
    const version = await this.repository.create(handle, record(text, principal), ttl);
    assert.ok(typeof version === 'string', 'create of a free handle returns a version');
    return version;
  }

  /** Updates a record that must have this version. */
  async update(handle: string, base: SessionVersion, text: string, ttl = LONG, principal?: string): Promise<SessionVersion> {
    const result = await this.repository.update(handle, record(text, principal), base, ttl);
    assert.ok(result.status === 'updated', `update on the current version is '${result.status}'`);
    return result.version;
  }

  /** Reads a record that must be there. */
  async read(handle: string, touch?: number): Promise<StoredRecord> {
    const found = await this.repository.read(handle, touch);
    assert.ok(found !== undefined, 'the record is there');
    return found;
  }

  /**
   * The record is still in the state that the version names. Versions are opaque and a state may have several, so it is an
   * update that tells, with the same bytes.
   */
  async expectVersion(handle: string, version: SessionVersion): Promise<void> {
    const { payload, principal } = await this.read(handle);
    const { status } = await this.repository.update(handle, { payload, principal }, version, LONG);
    assert.equal(status, 'updated', 'the version is still good for an update');
  }

  /** The record is there and says this. */
  async expectText(handle: string, text: string): Promise<void> {
    assert.equal(textOf(await this.read(handle)), text);
  }

  /** Nothing is there, whichever instance is asked. */
  async expectAbsent(handle: string): Promise<void> {
    assert.equal(await this.repository.read(handle), undefined);
    assert.equal(await this.other.read(handle), undefined);
  }

  private get instances(): { first: SessionRepository; second: SessionRepository } {
    assert.ok(this.opened, 'the repository could not be opened');
    return this.opened;
  }

  private async make(): Promise<SessionRepository> {
    const repository = await this.factory();
    await repository.onModuleInit?.();
    return repository;
  }

  private use(handle: string): string {
    this.issued.add(handle);
    return handle;
  }
}

export function record(text: string, principal?: string): SessionRecord {
  return { payload: Buffer.from(text), principal };
}

export function textOf({ payload }: SessionRecord): string {
  return Buffer.from(payload).toString();
}

/** Compares bytes, whatever subclass of Uint8Array they are in. */
export function assertBytes(actual: Uint8Array, expected: Uint8Array): void {
  assert.equal(actual.length, expected.length, 'the number of bytes');
  assert.ok(Buffer.compare(actual, expected) === 0, 'the bytes are the same');
}

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
