import { SessionLogger } from '../common/session-logger.js';
import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { assertPrincipal, isPrincipal } from '../common/principal.js';
import { display, reasonOf } from '../common/redact.js';
import { ReservedSessionKeyError } from '../errors.js';
import { MAX_DURATION, toMilliseconds } from '../common/option-reader.js';
import type { Duration } from '../options/session-options.js';
import { Attribute, FieldKind } from '../storage/record.codec.js';
import { SessionCookieView } from './session-cookie.view.js';
import type { FlashMessage, SessionData, SessionKey } from './session-data.js';
import type { SessionManager } from './session-manager.js';
import type { SessionState } from './session-state.js';

/** Keys the internals of a session object; not to be found by name. */
const INTERNALS = Symbol('internals');

/** Private fields, because `console.dir` and the like, which ignore `inspect.custom`, would show the id among others. */
class Internals {
  readonly #state: SessionState;
  readonly #manager: SessionManager;
  #cookie: SessionCookieView | undefined;
  /** What the object showed before a regeneration that dropped it, while the callback of that regeneration runs. */
  #former: ReadonlyMap<string, unknown> | undefined;

  constructor(state: SessionState, manager: SessionManager) {
    this.#state = state;
    this.#manager = manager;
  }

  get state(): SessionState {
    return this.#state;
  }

  get manager(): SessionManager {
    return this.#manager;
  }

  get former(): ReadonlyMap<string, unknown> | undefined {
    return this.#former;
  }

  cookieOf(session: ServerSession): SessionCookieView {
    return (this.#cookie ??= new SessionCookieView(session, this.#manager.options));
  }

  /** Passport copies what the object held before the regeneration, in its callback: `keepSessionInfo`. */
  showingFormer(former: ReadonlyMap<string, unknown>, callback: () => void): void {
    this.#former = former;
    try {
      callback();
    } finally {
      this.#former = undefined;
    }
  }
}

/** A callback of Node's form, as express-session's methods take it last: called once, with the error or with nothing. */
export type SessionCallback = (error?: unknown) => void;

/** What `regenerate()` keeps. */
export interface RegenerateOptions {
  /**
   * `true`: all data. `false`: none, nor the principal. A list: these keys and nothing else.
   * @default true
   */
  keep?: boolean | readonly string[];
}

/** What the application keeps of each session, typed by declaration merging. */
export interface ServerSession extends SessionData {}

/**
 * The session of a request. Its data are its properties: `session.cart = ['tea']`, `delete session.cart`,
 * `Object.keys(session)`, `JSON.stringify(session)`. Everything below is a member; a data key of the same name is refused
 * with `ReservedSessionKeyError`.
 */
export class ServerSession {
  /** @internal */
  readonly [INTERNALS]: Internals;

  /** @internal Sessions come from the manager. */
  constructor(state: SessionState, manager: SessionManager) {
    this[INTERNALS] = new Internals(state, manager);
  }

  /** The id in the cookie. A client that has it has the session: do not log it. */
  get sid(): string {
    return this[INTERNALS].state.sid;
  }

  /** The same as `sid`, for libraries that were written for express-session. */
  get id(): string {
    return this[INTERNALS].state.sid;
  }

  /** The lifetime in terms of the cookie, for libraries that were written for express-session. */
  get cookie(): SessionCookieView {
    return this[INTERNALS].cookieOf(this);
  }

  /** The name of the session in the store. It identifies the session and cannot be used as a cookie. */
  get handle(): string {
    return this[INTERNALS].state.handle;
  }

  /** Whether the session is not stored yet. */
  get isNew(): boolean {
    return this[INTERNALS].state.phase === 'new';
  }

  /** Whether the session was changed since it was loaded or saved, nested changes included. */
  get modified(): boolean {
    return this[INTERNALS].state.fields.changes().size > 0;
  }

  /** Whether the cookie has an expiry; without one the browser drops it when it closes. Starts as the option `permanent`. */
  get permanent(): boolean {
    return this[INTERNALS].manager.isPermanent(this[INTERNALS].state);
  }

  set permanent(permanent: boolean) {
    assertWritable(this, 'permanent');
    this[INTERNALS].state.fields.set(Attribute.permanent, Boolean(permanent));
  }

  /**
   * Seconds that this session lives since its last use; undefined: as the option `lifetime` says. Set it to a number of seconds or a
   * string as in `'30d'` ("remember me"). The cookie follows.
   *
   * @throws TypeError for what is no span of time.
   */
  get lifetime(): number | undefined {
    const own = this[INTERNALS].state.fields.get(Attribute.lifetime);
    return typeof own === 'number' ? own / 1000 : undefined;
  }

  set lifetime(lifetime: Duration | undefined) {
    assertWritable(this, 'lifetime');
    if (lifetime === undefined || lifetime === null) {
      this[INTERNALS].state.fields.delete(Attribute.lifetime);
      return;
    }
    const milliseconds = toMilliseconds(lifetime);
    if (milliseconds === undefined || milliseconds < 1 || milliseconds > MAX_DURATION) {
      throw new TypeError(
        `[ServerSession] session.lifetime: a positive number of seconds, or a string as in '30d'; given: ${display(lifetime)}`,
      );
    }
    this[INTERNALS].state.fields.set(Attribute.lifetime, milliseconds);
  }

  get createdAt(): Date {
    return new Date(this[INTERNALS].state.createdAt);
  }

  /** The last use before this request, to within `touchInterval`. */
  get lastAccessedAt(): Date {
    return new Date(this[INTERNALS].state.accessedAt);
  }

  /** When the session ends if it is not used again. */
  get expiresAt(): Date {
    return new Date(this[INTERNALS].manager.expiryOf(this[INTERNALS].state));
  }

  /**
   * The user that the session belongs to. A change gives the session a new id, unless the request did so itself.
   *
   * @throws TypeError for anything but a non-empty string of at most 512 characters without control characters;
   *   SessionHeadersSentError where the client cannot be told the new id any more.
   */
  get principal(): string | undefined {
    const principal = this[INTERNALS].state.fields.get(Attribute.principal);
    return isPrincipal(principal) ? principal : undefined;
  }

  set principal(principal: string | undefined) {
    assertWritable(this, 'principal');
    const { state, manager } = this[INTERNALS];
    if (principal !== undefined && principal !== null) assertPrincipal(principal);
    if (principal === this.principal) return;
    manager.assertPrincipalMayChange(state);
    state.fields.set(Attribute.principal, principal ?? undefined);
  }

  /** Facts about the session that are not its data, such as the device it began on. */
  get meta(): Record<string, unknown> | undefined {
    const meta = this[INTERNALS].state.fields.get(Attribute.meta);
    return isRecord(meta) ? meta : undefined;
  }

  set meta(meta: Record<string, unknown> | undefined) {
    assertWritable(this, 'meta');
    if (meta === undefined) this[INTERNALS].state.fields.delete(Attribute.meta);
    else this[INTERNALS].state.fields.set(Attribute.meta, meta);
  }

  get<K extends SessionKey>(key: K): SessionData[K] | undefined;
  get<K extends SessionKey>(key: K, fallback: NonNullable<SessionData[K]>): NonNullable<SessionData[K]>;
  get<T = unknown>(key: string): T | undefined;
  get<T>(key: string, fallback: T): T;
  get(key: string, fallback?: unknown): unknown {
    const { state, former } = this[INTERNALS];
    const value = former?.has(key) ? former.get(key) : state.fields.get(dataField(key));
    return value === undefined ? fallback : value;
  }

  /**
   * Sets a key; `undefined` deletes it.
   *
   * @throws ReservedSessionKeyError when the key is the name of a member.
   */
  set<K extends string>(key: K, value: K extends SessionKey ? SessionData[K] : unknown): this {
    assertNotReserved(key);
    assertWritable(this, `set '${key}'`);
    this[INTERNALS].state.fields.set(dataField(key), value);
    return this;
  }

  has(key: string): boolean {
    return this[INTERNALS].state.fields.has(dataField(key)) || this[INTERNALS].former?.has(key) === true;
  }

  /**
   * @returns whether there was such a key.
   * @throws ReservedSessionKeyError when the key is the name of a member.
   */
  delete(key: string): boolean {
    assertNotReserved(key);
    assertWritable(this, `delete '${key}'`);
    return this[INTERNALS].state.fields.delete(dataField(key));
  }

  /** Deletes all data; the session itself stays. */
  clear(): void {
    assertWritable(this, 'clear');
    for (const key of this.keys()) this.delete(key);
  }

  keys(): string[] {
    const { state, former } = this[INTERNALS];
    const keys = Array.from(state.fields.keys(FieldKind.data), (field) => field.slice(1));
    return former === undefined ? keys : [...new Set([...former.keys(), ...keys])];
  }

  entries(): [string, unknown][] {
    // A value that cannot be read shows only now, and its key is absent then.
    return this.keys()
      .map((key): [string, unknown] => [key, this.get(key)])
      .filter(([key]) => this.has(key));
  }

  /**
   * Gives the session a new id; the old one is dead. Do so whenever a user logs in.
   *
   * @param options what is kept, or just the list of keys to keep. With a callback in place of it, as libraries for express-session call
   *   it, nothing is kept.
   * @throws SessionConflictError (409) when another request gave it a new id first; SessionHeadersSentError where the client cannot be
   *   told the new id any more; SessionStoreError.
   */
  regenerate(options?: RegenerateOptions | readonly string[]): Promise<void>;
  regenerate(callback: SessionCallback): void;
  regenerate(options: RegenerateOptions | readonly string[], callback: SessionCallback | undefined): void;
  regenerate(options: RegenerateOptions | readonly string[] | SessionCallback = {}, callback?: SessionCallback): Promise<void> | void {
    const { state, manager } = this[INTERNALS];
    const given = typeof options === 'function' ? { keep: false } : options;
    const keep = isList(given) ? given : (given.keep ?? true);
    const run = async (): Promise<void> => {
      assertWritable(this, 'regenerate');
      await manager.regenerate(state, keep);
    };
    const then = typeof options === 'function' ? options : callback;
    if (then === undefined) return run();
    const former = new Map(this.entries());
    const regenerated = async (): Promise<void> => {
      await run();
      // `req.session` is another object from now on, so that the old one can show what it held.
      if (keep !== true) state.exchange.show?.(toServerSession(state, manager));
    };
    callBack(regenerated(), (error) => this[INTERNALS].showingFormer(keep === true ? NOTHING : former, () => then(error)));
  }

  /** Removes the session from the store and clears the cookie. What is written after it begins a new session. */
  destroy(): Promise<void>;
  destroy(callback: SessionCallback | undefined): Promise<void> | void;
  destroy(callback?: SessionCallback): Promise<void> | void {
    return perform(this, 'destroy', (manager, state) => manager.destroy(state), callback);
  }

  /** Writes what has changed now, rather than when the response leaves. */
  save(): Promise<void>;
  save(callback: SessionCallback | undefined): Promise<void> | void;
  save(callback?: SessionCallback): Promise<void> | void {
    return perform(this, 'save', (manager, state) => manager.commit(state), callback);
  }

  /** Reads the session again; unsaved changes are dropped. A session that has ended meanwhile is empty and new. */
  reload(): Promise<void>;
  reload(callback: SessionCallback | undefined): Promise<void> | void;
  reload(callback?: SessionCallback): Promise<void> | void {
    return perform(this, undefined, (manager, state) => manager.reload(state), callback);
  }

  /** Counts as a use now: extends the session, also inside a stream or a socket. */
  touch(): Promise<void>;
  touch(callback: SessionCallback | undefined): Promise<void> | void;
  touch(callback?: SessionCallback): Promise<void> | void {
    return perform(this, 'touch', (manager, state) => manager.touch(state), callback);
  }

  /**
   * Reads, changes and writes the session as one step, also where other requests change it at the same time: `change` may
   * run several times, each time on the latest state.
   */
  async update<T>(change: (session: ServerSession) => T | Promise<T>): Promise<T> {
    assertWritable(this, 'update');
    const { state, manager } = this[INTERNALS];
    return manager.update(state, (latest) => change(toServerSession(latest, manager)));
  }

  /** Leaves a message that is read once: by this request or a later one. */
  flash(kind: string, message: unknown): void {
    assertWritable(this, 'flash');
    this[INTERNALS].state.fields.set(FieldKind.flash + randomBytes(9).toString('base64url'), { kind, message });
  }

  /** Takes the messages, of one kind or all, oldest first: each is read once. */
  flashes(): FlashMessage[];
  flashes<T = unknown>(kind: string): T[];
  flashes(kind?: string): unknown[] {
    const { fields, readOnly } = this[INTERNALS].state;
    const taken: FlashMessage[] = [];
    for (const key of Array.from(fields.keys(FieldKind.flash))) {
      const flash = fields.get(key);
      if (!isFlash(flash) || (kind !== undefined && flash.kind !== kind)) continue;
      taken.push(flash);
      if (readOnly === undefined) fields.delete(key);
    }
    return kind === undefined ? taken : taken.map(({ message }) => message);
  }

  /** What a session is in a string: nothing that belongs to it. */
  [Symbol.toPrimitive](): string {
    return '[object ServerSession]';
  }

  /** What a log may show of a session: never its id. */
  [inspect.custom](): string {
    return `ServerSession ${inspect(Object.fromEntries(this.entries()))}`;
  }
}

const logger = new SessionLogger();
const NOTHING: ReadonlyMap<string, unknown> = new Map();

/** The names that are members, not data; and those of them that can be assigned. */
const { constructor: _, ...MEMBERS } = Object.getOwnPropertyDescriptors(ServerSession.prototype);
const RESERVED: ReadonlySet<string> = new Set(Object.keys(MEMBERS));
const SETTABLE: ReadonlySet<string> = new Set(Object.entries(MEMBERS).flatMap(([name, { set }]) => (set === undefined ? [] : [name])));

function assertNotReserved(key: string): void {
  if (RESERVED.has(key)) throw new ReservedSessionKeyError(key);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function isFlash(value: unknown): value is FlashMessage {
  return isRecord(value) && typeof value['kind'] === 'string';
}

function dataField(key: string): string {
  return FieldKind.data + key;
}

function assertWritable(session: ServerSession, operation: string): void {
  const { readOnly } = session[INTERNALS].state;
  if (readOnly !== undefined) throw readOnly(operation);
}

/**
 * Makes the data properties, while the members stay members. The data live in the fields, not on the object, so `__proto__` and
 * `constructor` are keys like any other and reach no prototype.
 */
const DATA_AS_PROPERTIES: ProxyHandler<ServerSession> = {
  get(target, key) {
    return typeof key === 'symbol' || RESERVED.has(key) ? (Reflect.get(target, key, target) as unknown) : target.get(key);
  },
  set(target, key, value) {
    if (typeof key === 'symbol') return false;
    if (SETTABLE.has(key)) return Reflect.set(target, key, value, target);
    target.set(key, value);
    return true;
  },
  has(target, key) {
    return typeof key === 'symbol' ? Reflect.has(target, key) : RESERVED.has(key) || target.has(key);
  },
  deleteProperty(target, key) {
    if (typeof key === 'string') target.delete(key);
    return true;
  },
  ownKeys(target) {
    return target.keys();
  },
  getOwnPropertyDescriptor(target, key) {
    if (typeof key === 'symbol' || !target.has(key)) return undefined;
    return { value: target.get(key), writable: true, enumerable: true, configurable: true };
  },
  defineProperty(target, key, { value, get, set, ...attributes }) {
    if (typeof key === 'symbol') return false;
    assertNotReserved(key);
    // Data is plain: what a store cannot keep is no attribute of it.
    if (get !== undefined || set !== undefined || Object.values(attributes).includes(false)) return false;
    target.set(key, value);
    return true;
  },
  // The prototype is no data. And a frozen object would have to list properties that this one does not have.
  setPrototypeOf: () => false,
  preventExtensions: () => false,
};

function perform(
  session: ServerSession,
  operation: string | undefined,
  work: (manager: SessionManager, state: SessionState) => Promise<void>,
  callback: SessionCallback | undefined,
): Promise<void> | void {
  const { state, manager } = session[INTERNALS];
  const running = (async () => {
    if (operation !== undefined) assertWritable(session, operation);
    await work(manager, state);
  })();
  return callback === undefined ? running : callBack(running, callback);
}

/** Calls back once, with the error or with nothing. What the callback throws is logged: no request waits for it any more. */
function callBack(running: Promise<void>, callback: SessionCallback): void {
  const call = (error?: unknown): void => {
    try {
      callback(error);
    } catch (thrown) {
      logger.error(`a callback of a session method threw: ${reasonOf(thrown)}`, thrown instanceof Error ? thrown.stack : undefined);
    }
  };
  running.then(() => call(), call);
}

function isList(value: RegenerateOptions | readonly string[]): value is readonly string[] {
  return Array.isArray(value);
}

/** The session object over a state. */
export function toServerSession(state: SessionState, manager: SessionManager): ServerSession {
  return new Proxy(new ServerSession(state, manager), DATA_AS_PROPERTIES);
}

/** The state behind a session object. */
export function stateOf(session: ServerSession): SessionState {
  return session[INTERNALS].state;
}
