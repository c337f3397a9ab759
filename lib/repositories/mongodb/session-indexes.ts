import type { mongo } from 'mongoose';
import { OutageLog } from '../../common/outage-log.js';
import { reasonOf } from '../../errors.js';
import type { SessionCollection } from './session-collection.js';

const FIRST_DELAY = 1000;
const LAST_DELAY = 30_000;

/**
 * The names are those that MongoDB itself would give, so that indexes which were made by hand are the same.
 * An index on the principal that holds the sessions without one, too, would be several times as large for nothing.
 */
const INDEXES: mongo.IndexDescription[] = [
  { name: 'expiresAt_1', key: { expiresAt: 1 }, expireAfterSeconds: 0 },
  { name: 'principal_1__id_1', key: { principal: 1, _id: 1 }, partialFilterExpression: { principal: { $exists: true } } },
];

/** Creates the indexes in the background, and tries again until that has worked: a server may come later than its applications. */
export class SessionIndexes {
  private readonly outage: OutageLog;
  private timer: NodeJS.Timeout | undefined;
  private stopped = false;

  constructor(private readonly collection: SessionCollection) {
    this.outage = new OutageLog('MongoDB', `MongoDB: '${collection.name}' has its indexes now`);
  }

  start(): void {
    void this.create(FIRST_DELAY);
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
  }

  private async create(delay: number): Promise<void> {
    try {
      // Creating an index that is there changes nothing, however many processes do it at once.
      await this.collection.createIndexes(INDEXES);
      this.outage.recovered();
    } catch (error) {
      if (this.stopped) return;
      const what = `the indexes of '${this.collection.name}' could not be created, trying again`;
      this.outage.failed(`MongoDB: ${what}: ${reasonOf(error)} (option 'mongodb.createIndexes')`);
      this.timer = setTimeout(() => void this.create(Math.min(2 * delay, LAST_DELAY)), delay).unref();
    }
  }
}
