import { inspect } from 'node:util';
import { ReservedSessionKeyError } from '../errors.js';
import { Attribute, FieldKind } from '../storage/record-fields.js';
import { newFlashKey } from './flash-key.js';
import type { FlashMessage, SessionData, SessionKey } from './session-data.js';
import type { SessionLifecycle } from './session-lifecycle.js';
import { dataAsProperties } from './session-proxy.js';
import type { SessionState } from './session-state.js';

/** Keys the internals of a session object; not to be found by name. */
const INTERNALS = Symbol('internals');

/** Private fields, because `console.dir` and the like, which ignore `inspect.custom`, would show the id among others. */
class Internals {
  readonly #state: SessionState;
  readonly #lifecycle: SessionLifecycle;

  constructor(state: SessionState, lifecycle: SessionLifecycle) {
    this.#state = state;
    this.#lifecycle = lifecycle;
  }

  get state(): SessionState {
    return this.#state;
  }

  get lifecycle(): SessionLifecycle {
    return this.#lifecycle;
  }
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

  /** @internal Sessions come from the lifecycle. */
  constructor(state: SessionState, lifecycle: SessionLifecycle) {
    this[INTERNALS] = new Internals(state, lifecycle);
  }

  /** The id in the cookie. Whoever has it has the session: do not log it. */
  get sid(): string {
    return this[INTERNALS].lifecycle.idOf(this[INTERNALS].state);
  }

  /** The name of the session in the store. It identifies the session and cannot be used as a cookie. */
  get handle(): string {
    return this[INTERNALS].lifecycle.handleOf(this[INTERNALS].state);
  }

  /** Whether the session is not stored yet. */
  get isNew(): boolean {
    return this[INTERNALS].state.base === undefined;
  }

  /** Whether the session was changed since it was loaded or saved, nested changes included. */
  get modified(): boolean {
    return this[INTERNALS].state.fields.changes().size > 0;
  }

  /** Whether the cookie has an expiry; without one the browser drops it when it closes. Starts as the option `permanent`. */
  get permanent(): boolean {
    return this[INTERNALS].lifecycle.loader.isPermanent(this[INTERNALS].state);
  }

  set permanent(permanent: boolean) {
    assertWritable(this, 'permanent');
    this[INTERNALS].state.fields.set(Attribute.permanent, Boolean(permanent));
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
    return new Date(this[INTERNALS].lifecycle.expiryOf(this[INTERNALS].state));
  }

  /** Whom the session belongs to. A change gives the session a new id, unless the request did so itself. */
  get principal(): string | undefined {
    const principal = this[INTERNALS].state.fields.get(Attribute.principal);
    return typeof principal === 'string' ? principal : undefined;
  }

  set principal(principal: string | undefined) {
    assertWritable(this, 'principal');
    if (principal === undefined || principal === null) this[INTERNALS].state.fields.delete(Attribute.principal);
    else this[INTERNALS].state.fields.set(Attribute.principal, String(principal));
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
    const value = this[INTERNALS].state.fields.get(dataField(key));
    return value === undefined ? fallback : value;
  }

  /**
   * Sets a key; `undefined` deletes it.
   *
   * @throws ReservedSessionKeyError when the key is the name of a member.
   */
  set<K extends SessionKey>(key: K, value: SessionData[K]): this;
  set(key: string, value: unknown): this;
  set(key: string, value: unknown): this {
    assertNotReserved(key);
    assertWritable(this, `set '${key}'`);
    this[INTERNALS].state.fields.set(dataField(key), value);
    return this;
  }

  has(key: string): boolean {
    return this[INTERNALS].state.fields.has(dataField(key));
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
    return Array.from(this[INTERNALS].state.fields.keys(FieldKind.data), (field) => field.slice(1));
  }

  entries(): [string, unknown][] {
    // A value that cannot be read shows only now, and its key is absent then.
    return this.keys()
      .map((key): [string, unknown] => [key, this.get(key)])
      .filter(([key]) => this.has(key));
  }

  /**
   * Gives the session a new id; the old one is dead. Do so whenever somebody logs in.
   *
   * @param options `keep: false` drops the data too.
   */
  async regenerate({ keep = true }: { keep?: boolean } = {}): Promise<void> {
    assertWritable(this, 'regenerate');
    await this[INTERNALS].lifecycle.regenerate(this[INTERNALS].state, keep);
  }

  /** Removes the session from the store and clears the cookie. What is written after it begins a new session. */
  async destroy(): Promise<void> {
    assertWritable(this, 'destroy');
    await this[INTERNALS].lifecycle.destroy(this[INTERNALS].state);
  }

  /** Writes what has changed now, rather than when the response leaves. */
  async save(): Promise<void> {
    assertWritable(this, 'save');
    await this[INTERNALS].lifecycle.commit(this[INTERNALS].state);
  }

  /** Reads the session again; unsaved changes are dropped. */
  async reload(): Promise<void> {
    await this[INTERNALS].lifecycle.reload(this[INTERNALS].state);
  }

  /**
   * Reads, changes and writes the session as one step, also where other requests change it at the same time: `change` may
   * run several times, each time on the latest state.
   */
  async update<T>(change: (session: ServerSession) => T | Promise<T>): Promise<T> {
    assertWritable(this, 'update');
    return this[INTERNALS].lifecycle.updateAtomically(this[INTERNALS].state, (state) =>
      change(toServerSession(state, this[INTERNALS].lifecycle)),
    );
  }

  /** Leaves a message for whoever reads it first: this request or a later one. */
  flash(kind: string, message: unknown): void {
    assertWritable(this, 'flash');
    this[INTERNALS].state.fields.set(newFlashKey(), { kind, message });
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

  /** What a session is in a text: nothing that belongs to it. */
  [Symbol.toPrimitive](): string {
    return '[object ServerSession]';
  }

  /** What a log may show of a session: never its id. */
  [inspect.custom](): string {
    return `ServerSession ${inspect(Object.fromEntries(this.entries()))}`;
  }
}

/** The names that are members, not data. */
const RESERVED: ReadonlySet<string> = new Set(Object.getOwnPropertyNames(ServerSession.prototype).filter((name) => name !== 'constructor'));

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

const DATA_AS_PROPERTIES = dataAsProperties<ServerSession>(RESERVED);

/** The session object over a state. */
export function toServerSession(state: SessionState, lifecycle: SessionLifecycle): ServerSession {
  return new Proxy(new ServerSession(state, lifecycle), DATA_AS_PROPERTIES);
}

/** The state behind a session object. */
export function stateOf(session: ServerSession): SessionState {
  return session[INTERNALS].state;
}
