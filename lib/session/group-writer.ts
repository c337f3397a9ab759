import { SessionConflictError } from '../errors.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import { Backoff } from '../common/backoff.js';
import type { ContentFactory } from './content-factory.js';
import { withTimeout } from '../common/with-timeout.js';
import { applyChanges, Attribute, type FieldChanges, type SerializedFields } from '../storage/record-fields.js';
import type { Base, SessionState } from './session-state.js';
import type { SessionStore } from '../storage/session-store.js';
import { bury, type Latest, mayWrite, tooLate, written } from './write-outcome.js';
import type { WriteTurns } from './write-turns.js';

/** What one request has to write. */
export interface PendingWrite {
  readonly state: SessionState;
  /** What the request loaded. */
  readonly base: Base;
  readonly changes: FieldChanges;
  /** How long its request may wait. */
  readonly backoff: Backoff;
  /** Why it could not be written, where others of its group may have been. */
  error?: Error;
}

/**
 * Writes what requests changed. Those of one process that change the same session at the same time wait for each other, and all that
 * wait go to the store in one update, in the order in which they came.
 */
export class GroupWriter {
  constructor(
    private readonly turns: WriteTurns<Latest, PendingWrite>,
    private readonly stored: SessionStore,
    private readonly contents: ContentFactory,
    private readonly options: Pick<ResolvedSessionOptions, 'concurrency' | 'storeTimeout'>,
  ) {}

  /**
   * Stores the changes of a request. A session that is gone stays gone: the state is dead then.
   *
   * @throws SessionConflictError when `concurrency` is `'reject'`, or others were faster for all of `storeTimeout`.
   */
  write(state: SessionState, base: Base, changes: FieldChanges): Promise<void> {
    const { storeTimeout } = this.options;
    const write: PendingWrite = { state, base, changes, backoff: new Backoff(storeTimeout) };
    const waits = !this.turns.isFree(state.handle!);
    const storing = this.store(write);
    // Who does not wait is never late: each question to the store has no more time than is left.
    return waits ? withTimeout(storing, storeTimeout, () => tooLate(storeTimeout)) : storing;
  }

  private async store(write: PendingWrite): Promise<void> {
    const handle = write.state.handle!;
    if (this.mayShare(write)) await this.turns.share(handle, write, (writes, predecessor) => this.storeAll(writes, predecessor));
    else await this.turns.take(handle, (predecessor) => this.storeAll([write], predecessor));
    if (write.error !== undefined) throw write.error;
  }

  /** Who is to be told of conflicts must have them; and a new principal decides who may write after that. */
  private mayShare({ changes }: PendingWrite): boolean {
    return this.options.concurrency !== 'reject' && !changes.has(Attribute.principal);
  }

  private async storeAll(group: readonly PendingWrite[], predecessor: Latest | undefined): Promise<Latest | undefined> {
    const { concurrency } = this.options;
    const { state, base } = group.at(-1)!;
    let latest: Latest = { handle: state.handle!, base };
    if (predecessor !== undefined && concurrency !== 'reject') latest = predecessor;
    let writes = group;
    for (;;) {
      const merged = this.merge(writes, latest);
      writes = merged.writes;
      const last = writes.at(-1);
      if (last === undefined) return undefined;
      const content = this.contents.contentOf(last.state, merged.fields, Date.now());
      const result = await this.stored.update(latest.handle, content, latest.base.version, last.backoff.remaining);
      if (result.status === 'updated') return allWritten(writes, { handle: latest.handle, base: { version: result.version, content } });
      if (result.status === 'gone') return buryAll(writes);
      if (concurrency === 'reject') throw new SessionConflictError(`the option 'concurrency' is 'reject'`);
      await last.backoff.wait();
      const current = await this.stored.follow(latest.handle, last.backoff.remaining);
      if (current === undefined) return buryAll(writes);
      latest = current;
    }
  }

  /** The changes of writes on top of the latest state, one after the other. Those that cannot be part of it get their error. */
  private merge(writes: readonly PendingWrite[], latest: Latest): { writes: readonly PendingWrite[]; fields: SerializedFields } {
    const accepted: PendingWrite[] = [];
    let { fields } = latest.base.content;
    for (const write of writes) {
      if (!mayWrite(write.state, write.base, latest)) {
        bury(write.state);
        continue;
      }
      try {
        fields = this.with(write, fields);
        accepted.push(write);
      } catch (error) {
        write.error = error as Error;
      }
    }
    return { writes: accepted, fields };
  }

  private with({ state, changes, backoff }: PendingWrite, fields: SerializedFields): SerializedFields {
    // Its request was answered long ago: what it wanted to write must not appear now.
    if (backoff.isOver) throw tooLate(this.options.storeTimeout);
    const next = this.options.concurrency === 'overwrite' ? state.fields.serialized() : applyChanges(fields, changes);
    this.contents.assertSize(next);
    return next;
  }
}

function allWritten(writes: readonly PendingWrite[], latest: Latest): Latest {
  for (const { state, changes } of writes) written(state, latest, changes, writes.length > 1);
  return latest;
}

function buryAll(writes: readonly PendingWrite[]): undefined {
  for (const { state } of writes) bury(state);
}
