import type { Logger } from '@nestjs/common';
import type { VersionedFolder } from './versioned-folder.js';

/** Room that is made at once, as a share of the threshold: not for every new session anew. */
const ROOM = 0.05;
/** The folder is counted again after so many new sessions, as a share of the threshold: other processes make some too. */
const RECOUNT = 0.05;

/** Keeps the number of sessions in a folder about below a threshold. */
export class Threshold {
  /** As good as full until the folder was counted. */
  private estimate = Infinity;
  private sinceCount = 0;
  private counting: Promise<void> | undefined;
  private hasWarned = false;

  /** @param limit 0 for none. */
  constructor(
    private readonly limit: number,
    private readonly folder: VersionedFolder,
    private readonly logger: Logger,
  ) {}

  /** To be called before a session is created. */
  async makeRoom(): Promise<void> {
    if (this.limit === 0) return;
    const isStale = this.sinceCount >= Math.max(1, this.limit * RECOUNT);
    if (isStale || this.estimate >= this.limit) await (this.counting ??= this.count().finally(() => (this.counting = undefined)));
    this.estimate += 1;
    this.sinceCount += 1;
  }

  private async count(): Promise<void> {
    const sessions: { handle: string; expiry: number }[] = [];
    for await (const handle of this.folder.handles()) {
      const expiry = await this.folder.expiryOf(handle);
      if (expiry !== undefined) sessions.push({ handle, expiry });
    }
    this.estimate = sessions.length;
    this.sinceCount = 0;
    if (sessions.length >= this.limit) await this.evict(sessions);
  }

  /** Expired sessions have the earliest expiry of all, and the longest unused come next. */
  private async evict(sessions: { handle: string; expiry: number }[]): Promise<void> {
    const now = Date.now();
    const room = Math.max(1, Math.floor(this.limit * ROOM));
    sessions.sort((a, b) => a.expiry - b.expiry);
    const surplus = sessions.filter(({ expiry }, index) => expiry <= now || index < sessions.length - this.limit + room);
    const living = surplus.filter(({ expiry }) => expiry > now).length;
    for (const { handle } of surplus) await this.folder.remove(handle);
    this.estimate = sessions.length - surplus.length;
    if (living > 0 && !this.hasWarned) {
      this.hasWarned = true;
      this.logger.warn(
        `[ServerSession] there are ${this.limit} sessions or more (option 'filesystem.threshold'): the longest unused are being removed. ` +
          'Raise it, or choose a back end for more.',
      );
    }
  }
}
