import { ExpressStoreRepository, ListableExpressStoreRepository } from './express-store.repository.js';
import { type ExpressStore, isExpressStore } from './express-store.js';
import type { SessionRepository } from '../repositories/session-repository.js';

/**
 * Keeps sessions in a store that was written for express-session:
 *
 * ```ts
 * ServerSessionModule.forRoot({ repository: fromExpressStore(new PrismaSessionStore(prisma, {})) })
 * ```
 *
 * What such a store cannot do, this repository cannot do either:
 *
 * - It cannot compare and set. Within one process the changes of one session run one after the other, and nothing is lost. Of two
 *   processes that write the same session at the same moment the later one wins, and a session that one process ends while
 *   another one saves it may come back.
 * - It lists sessions only where the store has `all`, and then reads all of them for every page.
 * - It counts lifetimes as the store does, mostly in whole seconds, and extends them by the store's `touch`. Where the store has
 *   none, it writes the record again.
 *
 * The store stays the application's own: it is not closed here.
 *
 * @throws TypeError when it is no store of express-session.
 */
export function fromExpressStore(store: ExpressStore): SessionRepository {
  if (!isExpressStore(store)) throw new TypeError('[ServerSession] fromExpressStore() needs a store with get, set and destroy');
  return typeof store.all === 'function' ? new ListableExpressStoreRepository(store) : new ExpressStoreRepository(store);
}
