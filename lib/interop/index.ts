export { fromExpressStore } from './from-express-store.js';
export type { ExpressStore, ExpressStoreCookie, ExpressStoreSession } from './express-store.js';
