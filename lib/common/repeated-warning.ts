import { SessionLogger } from './session-logger.js';
import { printable } from './redact.js';

/** Milliseconds for which the same warning is only counted. */
const INTERVAL = 60_000;
/** How many warnings are told apart: a client could make up any number of causes. */
const MAX_CAUSES = 20;

interface Told {
  /** When it may be told again, by the monotonic clock. */
  readonly until: number;
  /** How often it came since. */
  count: number;
}

/** Warns of what every request may meet, as a damaged record: once a minute for each cause, with how often it came meanwhile. */
export class RepeatedWarning {
  private readonly logger = new SessionLogger();
  private readonly told = new Map<string, Told>();

  /** @param message without secrets; it is also what tells one cause from another. */
  warn(message: string): void {
    const now = performance.now();
    const line = printable(message);
    const before = this.told.get(line);
    if (before !== undefined && now < before.until) {
      before.count++;
      return;
    }
    if (before === undefined && !this.hasRoom(now)) return;
    this.told.set(line, { until: now + INTERVAL, count: 0 });
    const more = before?.count ?? 0;
    this.logger.warn(more === 0 ? line : `${line} (and ${more} more times since it was last logged)`);
  }

  private hasRoom(now: number): boolean {
    if (this.told.size < MAX_CAUSES) return true;
    for (const [line, { until }] of this.told) if (until <= now) this.told.delete(line);
    return this.told.size < MAX_CAUSES;
  }
}
