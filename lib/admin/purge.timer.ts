import { Inject, Injectable } from '@nestjs/common';
import { OutageLog } from '../common/outage-log.js';
import { reasonOf } from '../errors.js';
import { RESOLVED_OPTIONS, type ResolvedSessionOptions } from '../options/resolved-options.js';
import { SessionRepository } from '../repositories/session-repository.js';

/**
 * Removes expired records from stores that do not do so themselves: once in every interval, at a random moment of it, so that
 * the processes of an application do not all do it at once.
 */
@Injectable()
export class PurgeTimer {
  private readonly outage = new OutageLog('the purge', null);
  private timer: NodeJS.Timeout | undefined;
  private isStopped = false;

  constructor(
    private readonly repository: SessionRepository,
    @Inject(RESOLVED_OPTIONS) private readonly options: Pick<ResolvedSessionOptions, 'purgeInterval'>,
  ) {}

  onApplicationBootstrap(): void {
    const { purgeInterval } = this.options;
    if (purgeInterval !== false && this.repository.purgeExpired !== undefined) this.schedule(purgeInterval, 0);
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
      this.outage.recovered();
    } catch (error) {
      this.outage.failed(`expired sessions could not be removed: ${reasonOf(error)}`);
    }
    this.schedule(interval, rest);
  }
}
