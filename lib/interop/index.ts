export { expressSessions, type ExpressSessionsOptions } from './express-sessions.js';
export { fromExpressStore } from './from-express-store.js';
export type { ExpressStore, ExpressStoreCookie, ExpressStoreSession } from './express-store.js';
export type { FlaskRecord, FlaskRecords } from './flask-records.js';
export { flaskSessions, type FlaskSessionsOptions } from './flask-sessions.js';
export { type FormerId, type FormerSession, FormerSessions } from './former-sessions.js';
