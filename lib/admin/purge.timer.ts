import { Logger } from '@nestjs/common';
import { reasonOf } from '../errors.js';
import type { SessionRepository } from '../repositories/session-repository.js';

/**
 * Removes expired records from stores that do not do so themselves: once in every interval, at a random moment of it, so that
 * the processes of an application do not all do it at once.
 */
export class PurgeTimer {
  private readonly logger = new Logger('ServerSession');
  private timer: NodeJS.Timeout | undefined;
  private isStopped = false;
  private hasReported = false;

  /** @param interval milliseconds; false: never. */
  constructor(
    private readonly repository: SessionRepository,
    private readonly interval: number | false,
  ) {}

  onApplicationBootstrap(): void {
    if (this.interval !== false && this.repository.purgeExpired !== undefined) this.schedule(this.interval, 0);
  }

  beforeApplicationShutdown(): void {
    this.isStopped = true;
    clearTimeout(this.timer);
  }

  /** @param rest of the interval before, which the purge did not wait for. */
  private schedule(interval: number, rest: number): void {
    if (this.isStopped) return;
    const wait = Math.random() * interval;
    this.timer = setTimeout(() => void this.purge(interval, interval - wait), rest + wait);
    // A process that has nothing else to do may end.
    this.timer.unref();
  }

  /** The next one is planned only when this one is over, so none overlaps another. */
  private async purge(interval: number, rest: number): Promise<void> {
    try {
      await this.repository.purgeExpired?.();
      this.hasReported = false;
    } catch (error) {
      if (!this.hasReported) this.logger.error(`[ServerSession] expired sessions could not be removed: ${reasonOf(error)}`);
      this.hasReported = true;
    }
    this.schedule(interval, rest);
  }
}
