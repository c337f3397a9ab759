import { isNativeError } from 'node:util/types';
import { UnreadableRecordError } from '../errors.js';

/** The cookie of a session, as the stores of express-session see it. They compute their own time to live from it. */
export interface ExpressStoreCookie {
  /** Milliseconds of the whole lifetime. */
  originalMaxAge: number | null;
  /** Milliseconds from now. */
  maxAge?: number | null;
  expires?: Date | string | null;
  path?: string;
  domain?: string | null;
  httpOnly?: boolean;
}

/** A session, as the stores of express-session keep it. */
export interface ExpressStoreSession {
  cookie: ExpressStoreCookie;
}

/**
 * What a store of express-session has, as far as it is used here. Every class that extends `session.Store` fits. The functions
 * call back once, with an error or with what was asked for.
 */
export interface ExpressStore {
  get(sid: string, callback: (error?: unknown, session?: unknown) => void): unknown;
  set(sid: string, session: never, callback: (error?: unknown) => void): unknown;
  destroy(sid: string, callback: (error?: unknown) => void): unknown;
  /** Gives a record a new lifetime without writing it again. */
  touch?(sid: string, session: never, callback: (error?: unknown) => void): unknown;
  /** All sessions: a list, or an object with an entry for each. */
  all?(callback: (error?: unknown, sessions?: unknown) => void): unknown;
}

/** A store that never calls back must not block a session for ever; longer than any `storeTimeout` that makes sense. */
const PATIENCE = 30_000;

/** Whether a value has the three functions that every store of express-session has. */
export function isExpressStore(value: unknown): value is ExpressStore {
  if (typeof value !== 'object' || value === null) return false;
  return ['get', 'set', 'destroy'].every((name) => typeof (value as Record<string, unknown>)[name] === 'function');
}

/** The functions of a store of express-session, as promises. */
export class ExpressStoreCalls {
  constructor(private readonly store: ExpressStore) {}

  get canTouch(): boolean {
    return typeof this.store.touch === 'function';
  }

  async get(sid: string): Promise<unknown> {
    try {
      return (await call<unknown>((callback) => this.store.get(sid, callback))) ?? undefined;
    } catch (error) {
      // How session-file-store says that there is none. express-session makes this exception too.
      if (isNativeError(error) && 'code' in error && error.code === 'ENOENT') return undefined;
      // What it says quotes the record.
      if (isNativeError(error) && error.name === 'SyntaxError') throw new UnreadableRecordError('the store cannot parse it');
      throw error;
    }
  }

  async set(sid: string, session: ExpressStoreSession): Promise<void> {
    await call((callback) => this.store.set(sid, session as never, callback));
  }

  async destroy(sid: string): Promise<void> {
    await call((callback) => this.store.destroy(sid, callback));
  }

  async touch(sid: string, session: ExpressStoreSession): Promise<void> {
    await call((callback) => this.store.touch?.(sid, session as never, callback));
  }

  async all(): Promise<unknown[]> {
    const sessions = await call<unknown>((callback) => this.store.all?.(callback));
    if (Array.isArray(sessions)) return sessions;
    return typeof sessions === 'object' && sessions !== null ? Object.values(sessions) : [];
  }
}

/** Some stores also return a promise. It is ignored, because express-session knows the callback alone. */
function call<T>(start: (callback: (error?: unknown, result?: T) => void) => unknown): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`the store did not call back within ${PATIENCE} ms`)), PATIENCE);
    timer.unref();
    const settle = (error?: unknown, result?: T): void => {
      clearTimeout(timer);
      if (error === undefined || error === null) resolve(result);
      else reject(isNativeError(error) ? error : new Error('the store called back with an error that is no Error'));
    };
    try {
      const returned = start(settle);
      if (returned instanceof Promise) returned.catch((error: unknown) => settle(error));
    } catch (error) {
      settle(error);
    }
  });
}
