import { unsign } from 'cookie-signature';
import { UnreadableRecordError } from '../errors.js';
import { OptionReader } from '../common/option-reader.js';
import type { FlashMessage } from '../session/session-data.js';
import { type ExpressStore, ExpressStoreCalls, isExpressStore } from './express-store.js';
import { type FormerId, type FormerSession, FormerSessions, principalOf } from './former-sessions.js';

/** How the application that is being replaced had set up express-session. */
export interface ExpressSessionsOptions<D extends object = Record<string, unknown>> {
  /**
   * The name of its cookie.
   * @default 'connect.sid'
   */
  name?: string;
  /** Its secret, or its list of secrets: a cookie that was signed with any of them is valid. */
  secret: string | readonly string[];
  /** Its store, or another one of the same kind over the same server. It stays the application's own. */
  store: ExpressStore;
  /**
   * Whom a session belongs to. With Passport: `(data: { passport?: { user?: string } }) => data.passport?.user`.
   * @default no principal
   */
  principal?: ((data: D) => string | undefined) | undefined;
  /**
   * Whether the former record and cookie stay, so that both applications can run side by side for a while, each with its own session.
   * @default false
   */
  keep?: boolean;
}

/** express-session marks signed cookies so. It knows no others. */
const SIGNED = 's:';

/**
 * Sessions of express-session go on here: for the option `adopt`.
 *
 * ```ts
 * adopt: [expressSessions({ secret: process.env.SESSION_SECRET!, store: new RedisStore({ client }) })]
 * ```
 */
export function expressSessions<D extends object = Record<string, unknown>>(options: ExpressSessionsOptions<D>): FormerSessions {
  return new FormerExpressSessions(options as ExpressSessionsOptions<object>);
}

class FormerExpressSessions extends FormerSessions {
  override readonly cookieName: string;
  override readonly keep: boolean;
  private readonly secrets: readonly string[];
  private readonly store: ExpressStoreCalls;

  constructor(private readonly options: ExpressSessionsOptions<object>) {
    super();
    const { name = 'connect.sid', keep = false, secret, store } = options;
    this.cookieName = name;
    this.keep = keep;
    this.secrets = [secret].flat();
    this.store = new ExpressStoreCalls(store);
  }

  override faults(): string[] {
    const faults: string[] = [];
    const read = new OptionReader({ ...this.options }, faults);
    const { secrets } = this;
    const secret = read.raw('secret');
    if (secrets.length === 0 || !secrets.every((one) => typeof one === 'string' && one !== '')) {
      read.secretFault('secret', secret, 'a string that is not empty, or a list of such');
    }
    if (!isExpressStore(read.raw('store'))) read.fault('store', read.raw('store'), 'a store of express-session');
    read.check('name', '', 'a string that is not empty', (value) => typeof value === 'string' && value !== '');
    read.check('principal', undefined, 'a function of the data', (value) => typeof value === 'function');
    read.boolean('keep', false);
    read.rejectUnknown();
    return faults;
  }

  override identify(values: readonly string[]): FormerId[] {
    return values.flatMap((cookie) => {
      const id = this.verify(cookie);
      return id === undefined ? [] : [{ id, cookie }];
    });
  }

  override async read(id: string): Promise<FormerSession | undefined> {
    const session = await this.store.get(id);
    if (session === undefined) return undefined;
    if (!isObject(session) || !isObject(session['cookie'])) throw new UnreadableRecordError('it is no session of express-session');
    const { cookie, ...rest } = session;
    const { originalMaxAge } = cookie;
    const { data, flashes } = takeFlashes(rest);
    return {
      data,
      flashes,
      principal: principalOf(this.options.principal, data),
      permanent: cookie['expires'] !== null && cookie['expires'] !== undefined,
      // Not `expires`: a touch extends the record in the store, and leaves what stands in it. It is the store that ends sessions.
      remaining: typeof originalMaxAge === 'number' ? originalMaxAge : undefined,
      cookiePath: stringOf(cookie['path']),
      cookieDomain: stringOf(cookie['domain']),
    };
  }

  override end(id: string): Promise<void> {
    return this.store.destroy(id);
  }

  private verify(cookie: string): string | undefined {
    if (!cookie.startsWith(SIGNED)) return undefined;
    for (const secret of this.secrets) {
      const id = unsign(cookie.slice(SIGNED.length), secret);
      if (id !== false && id !== '') return id;
    }
    return undefined;
  }
}

/** Messages of connect-flash: `{ info: ['Saved.'] }`. Any other `flash` stays what it is. */
function takeFlashes(session: Record<string, unknown>): { data: Record<string, unknown>; flashes: FlashMessage[] } {
  const { flash, ...data } = session;
  if (!isObject(flash) || !Object.values(flash).every(Array.isArray)) return { data: session, flashes: [] };
  const flashes = Object.entries(flash).flatMap(([kind, messages]) => (messages as unknown[]).map((message) => ({ kind, message })));
  return { data, flashes };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function stringOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
