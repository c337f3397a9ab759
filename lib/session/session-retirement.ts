import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import { Backoff } from '../common/backoff.js';
import { isRetired, type SessionStore, type StoredUpdate } from '../storage/session-store.js';

/** How long a destroyed session is remembered as destroyed when its record cannot be deleted at once, in milliseconds. */
const DESTROYED_MEMORY = 5_000;

/**
 * The end of sessions. A record is not just deleted: it is first replaced, against its version, by a retired one. So an end
 * notices when another request moved the session to a new id a moment before, and ends it there too.
 */
export class SessionRetirement {
  private readonly grace: number;

  constructor(
    private readonly stored: SessionStore,
    private readonly options: Pick<ResolvedSessionOptions, 'regenerateGrace' | 'storeTimeout'>,
  ) {
    this.grace = options.regenerateGrace;
  }

  /** Ends a handle if it still has this version. @param to where the session goes on, if it does. */
  async retire(handle: string, version: string, to: string | undefined): Promise<StoredUpdate> {
    const forward = to !== undefined && this.grace > 0;
    const until = Date.now() + (forward ? this.grace : DESTROYED_MEMORY);
    const result = await this.stored.update(handle, { kind: 'retired', until, to: forward ? to : undefined }, version);
    if (result.status === 'updated' && !forward) await this.stored.delete(handle);
    return result;
  }

  /**
   * Destroys a session, wherever it went meanwhile.
   *
   * @returns the handle under which it ended; undefined when there was none any more.
   * @throws SessionConflictError when others kept changing it for all of `storeTimeout`; it is there still.
   */
  async end(handle: string, version: string): Promise<string | undefined> {
    const backoff = new Backoff(this.options.storeTimeout);
    let next: { handle: string; version: string } | undefined = { handle, version };
    while (next !== undefined) {
      const result: StoredUpdate = await this.retire(next.handle, next.version, undefined);
      if (result.status === 'updated') return next.handle;
      if (result.status === 'conflict') await backoff.wait();
      next = result.status === 'conflict' ? await this.current(next.handle) : undefined;
    }
    return undefined;
  }

  /** What is to be ended under a handle; a retired record leads on to where the session went, and is deleted. */
  private async current(handle: string): Promise<{ handle: string; version: string } | undefined> {
    const found = await this.stored.find(handle);
    if (!isRetired(found)) return found && { handle, version: found.version };
    const { to } = found.content;
    if (to === undefined) return undefined;
    await this.stored.delete(handle);
    return this.current(to);
  }
}
