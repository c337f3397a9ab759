import { Injectable } from '@nestjs/common';
import { type HealthIndicatorResult, HealthIndicatorService } from '@nestjs/terminus';
import { SessionService } from '../admin/session.service.js';

/**
 * Whether the session store answers, for `@nestjs/terminus`: one read of a session that does not exist, within `storeTimeout`.
 * Provide it in the module of your health controller, next to `TerminusModule`.
 */
@Injectable()
export class SessionHealthIndicator {
  constructor(
    private readonly health: HealthIndicatorService,
    private readonly sessions: SessionService,
  ) {}

  /** @param key under which the result stands in the answer. Never rejects: a store that does not answer is `down`. */
  async isHealthy<const Key extends string>(key: Key): Promise<HealthIndicatorResult<Key>> {
    const indicator = this.health.check(key);
    try {
      await this.sessions.ping();
      return indicator.up();
    } catch (error) {
      // The reason is in the log of the application; health pages are often public.
      return indicator.down({ message: error instanceof Error ? error.name : 'Error' });
    }
  }
}
