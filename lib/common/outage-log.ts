import { SessionLogger } from './session-logger.js';

/**
 * Reports an outage once, and its end once, however many requests meet it. Made for one thing that can be down: a server, a
 * connection, a job.
 *
 * ```ts
 * const outage = new OutageLog('Redis');
 * client.on('error', (error) => outage.failed(`Redis: ${reasonOf(error)}`)); // [ServerSession] Redis: connect ECONNREFUSED …
 * client.on('ready', () => outage.recovered()); //                              [ServerSession] Redis is back
 * ```
 */
export class OutageLog {
  private readonly logger = new SessionLogger();
  private isDown = false;

  /**
   * @param name what is down, as the line at the end of the outage calls it.
   * @param recovery what that line says; null for no such line.
   */
  constructor(
    name: string,
    private readonly recovery: string | null = `${name} is back`,
  ) {}

  /** Whether an outage was reported that has not ended. */
  get isOpen(): boolean {
    return this.isDown;
  }

  /** Logs the first failure of an outage as an error. @param message without the prefix of this package, and without secrets. */
  failed(message: string): void {
    if (this.isDown) return;
    this.isDown = true;
    this.logger.error(message);
  }

  /** Ends the outage, where there was one. To be called whenever something works. */
  recovered(): void {
    if (!this.isDown) return;
    this.isDown = false;
    if (this.recovery !== null) this.logger.log(this.recovery);
  }
}
