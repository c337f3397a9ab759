import { Inject, Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { SessionLogger } from '../common/session-logger.js';
import { parseCookie, stringifySetCookie } from 'cookie';
import { createHmac, hash, randomBytes } from 'node:crypto';
import { OutageLog } from '../common/outage-log.js';
import { RepeatedWarning } from '../common/repeated-warning.js';
import { withTimeout } from '../common/with-timeout.js';
import { reasonOf, ReservedSessionKeyError, SessionStoreError, UnreadableRecordError } from '../errors.js';
import { RESOLVED_OPTIONS, type ResolvedSessionOptions } from '../options/resolved-options.js';
import { toServerSession } from '../session/server-session.js';
import { SessionManager } from '../session/session-manager.js';
import type { SessionExchange, SessionState } from '../session/session-state.js';
import { Backoff } from '../session/session-writer.js';
import type { AdoptionClaim, RetiredContent } from '../storage/record.codec.js';
import { isRetired, SessionStore, type StoredSession } from '../storage/session-store.js';
import type { FormerId, FormerSession, FormerSessions } from './former-sessions.js';

/** A former session that goes on here. */
export interface AdoptedSession {
  readonly state: SessionState;
  /** The `Set-Cookie` value that ends the former cookie; none where it stays, or where ours takes its place. */
  readonly clearingCookies: readonly string[];
}

/**
 * Milliseconds for which a request with the former cookie still gets to the session: parallel requests of one page, and a client that the
 * first response did not reach. Later the former cookie leads nowhere.
 */
const GRACE = 60_000;
/** Cookies of one name that a request may cost a look at; more are no browser's. */
const MAX_COOKIES = 8;
/** With a SHA-512 behind it: 96 characters, which no id has, so that a client cannot name a claim even where handles are ids. */
const CLAIM_PREFIX = 'adoption__';

/** A former session that a request names, and where it is claimed. */
interface Candidate {
  readonly source: FormerSessions;
  readonly former: FormerId;
  readonly handle: string;
}

type StoredClaim = StoredSession<RetiredContent> & { readonly content: { readonly claim: AdoptionClaim } };

/**
 * Lets sessions of former systems go on here, each of them once, however many requests and processes meet it at the same time.
 *
 * A claim in our own store decides: a record under a name that follows from the former id. The process that creates it makes the
 * session, and then marks the claim as done. The id of the session follows from a random part of the claim and the former cookie. So each
 * parallel request, which has that cookie, sends the same id, and the store alone does not tell it. No response carries the id before the
 * claim is done: therefore a session that is not there although the claim is done has ended, and is not made again.
 */
@Injectable()
export class SessionAdoption implements OnModuleInit, OnApplicationShutdown {
  private readonly logger = new SessionLogger();
  private readonly warning = new RepeatedWarning();
  private readonly sources: readonly FormerSessions[];
  private readonly outages: ReadonlyMap<FormerSessions, OutageLog>;

  constructor(
    @Inject(RESOLVED_OPTIONS) private readonly options: ResolvedSessionOptions,
    private readonly manager: SessionManager,
    private readonly store: SessionStore,
  ) {
    this.sources = options.adopt;
    this.outages = new Map(
      this.sources.map((source) => [source, new OutageLog(`the store of the former sessions '${source.cookieName}'`)]),
    );
  }

  async onModuleInit(): Promise<void> {
    await Promise.all(this.sources.map((source) => source.open?.(this.options.storeTimeout)));
  }

  async onApplicationShutdown(): Promise<void> {
    await Promise.all(this.sources.map((source) => source.close?.()));
  }

  /** Whether a request may bring a former session. Costs next to nothing. */
  concerns(cookies: string | undefined): cookies is string {
    return cookies !== undefined && this.sources.some(({ cookieName }) => cookies.includes(`${cookieName}=`));
  }

  /**
   * The session that a former one goes on as.
   *
   * @param cookies the request's `Cookie` header.
   * @throws SessionStoreError when our own store fails. A former store that fails is one line in the log, and no session.
   */
  async adopt(cookies: string, exchange: SessionExchange): Promise<AdoptedSession | undefined> {
    for (const candidate of this.candidates(cookies)) {
      const claim = await this.claimAt(candidate.handle);
      const adopted = claim === undefined ? await this.claim(candidate, exchange) : await this.join(candidate, claim, exchange);
      if (adopted !== undefined) return adopted;
    }
    return undefined;
  }

  /**
   * Ends the former sessions of a client that logs out: they do not go on here any more.
   *
   * @returns the `Set-Cookie` values that end the former cookies.
   */
  async end(cookies: string): Promise<string[]> {
    const clearing: string[] = [];
    for (const candidate of this.candidates(cookies)) {
      const found = await this.readFormer(candidate);
      if (found === undefined) continue;
      const claim: AdoptionClaim = { nonce: newNonce(), at: 0, isDone: true };
      await this.store.create(candidate.handle, { kind: 'retired', until: this.endOfClaim(found), claim });
      await this.endFormer(candidate);
      clearing.push(...this.clearingCookies(candidate, found));
    }
    return clearing;
  }

  private candidates(cookies: string): Candidate[] {
    return this.sources.flatMap((source) =>
      source
        .identify(valuesOf(cookies, source.cookieName))
        .map((former) => ({ source, former, handle: CLAIM_PREFIX + hash('sha512', `${source.cookieName}\0${former.id}`, 'base64url') })),
    );
  }

  /**
   * Adopts a session for this request, where no other one is faster.
   *
   * @param abandoned the claim of a process that must have died before it made the session; undefined where there is no claim yet.
   */
  private async claim(candidate: Candidate, exchange: SessionExchange, abandoned?: StoredClaim): Promise<AdoptedSession | undefined> {
    const found = await this.readFormer(candidate);
    const state = found && this.stateFrom(found, exchange);
    if (found === undefined || state === undefined) return undefined;
    const content = newClaim(this.endOfClaim(found));
    const version = await this.putClaim(candidate.handle, content, abandoned);
    if (version !== undefined) return this.begin(candidate, { version, content }, found, state, exchange);
    const claim = await this.claimAt(candidate.handle);
    return claim && this.join(candidate, claim, exchange);
  }

  /** @returns undefined where another request was faster. */
  private async putClaim(handle: string, content: RetiredContent, abandoned: StoredClaim | undefined): Promise<string | undefined> {
    if (abandoned === undefined) return this.store.create(handle, content);
    const result = await this.store.update(handle, content, abandoned.version);
    return result.status === 'updated' ? result.version : undefined;
  }

  /** Makes the session: this request has the claim. */
  private async begin(
    candidate: Candidate,
    claim: StoredClaim,
    found: FormerSession,
    state: SessionState,
    exchange: SessionExchange,
  ): Promise<AdoptedSession | undefined> {
    state.reserveId(this.idOf(claim, candidate));
    try {
      await this.manager.create(state);
    } catch (error) {
      if (error instanceof SessionStoreError) throw error;
      this.warning.warn(`a former session cannot go on here: ${reasonOf(error)}`);
      await this.markDone(candidate, claim);
      return undefined;
    }
    const done = await this.markDone(candidate, claim);
    if (done?.content.claim.nonce !== claim.content.claim.nonce) {
      // This request took so long that another one claimed the session anew.
      await this.manager.destroy(state);
      return done && this.join(candidate, done, exchange);
    }
    if (!candidate.source.keep && (await this.endFormer(candidate))) {
      // The former record is gone, so from now on the claim is needed by parallel requests only.
      await this.store.update(candidate.handle, { ...done.content, until: Date.now() + GRACE }, done.version);
    }
    return this.adopted(candidate, state, found);
  }

  /** The session that another request with the same cookie has made, or is about to make. */
  private async join(candidate: Candidate, first: StoredClaim, exchange: SessionExchange): Promise<AdoptedSession | undefined> {
    const backoff = new Backoff(2 * this.options.storeTimeout);
    for (let claim: StoredClaim | undefined = first; claim !== undefined; claim = await this.claimAt(candidate.handle)) {
      const { at, isDone } = claim.content.claim;
      if (isDone && at + GRACE < Date.now()) return this.keepClaim(candidate, claim);
      const state = await this.manager.load([this.idOf(claim, candidate)]);
      if (state.phase === 'stored' || state.readOnly !== undefined) {
        if (!isDone && (await this.markDone(candidate, claim)) === undefined) return undefined;
        state.sendCookie(Date.now());
        return this.adopted(candidate, state);
      }
      // It has ended: what was done is not done again.
      if (isDone || backoff.isOver) return undefined;
      if (at + this.options.storeTimeout < Date.now()) return this.claim(candidate, exchange, claim);
      await backoff.wait();
    }
    return undefined;
  }

  /** Marks the claim as done, if this or another request has not done so. @returns the claim that counts. */
  private async markDone(candidate: Candidate, claim: StoredClaim): Promise<StoredClaim | undefined> {
    const content = { ...claim.content, claim: { ...claim.content.claim, isDone: true } };
    const result = await this.store.update(candidate.handle, content, claim.version);
    return result.status === 'updated' ? { version: result.version, content } : this.claimAt(candidate.handle);
  }

  /** A former session that stays lives on as long as it is used there, and its claim with it. */
  private async keepClaim(candidate: Candidate, { content, version }: StoredClaim): Promise<undefined> {
    const life = content.until - content.claim.at;
    const isHalfOver = content.claim.at > 0 && content.until - Date.now() < life / 2;
    if (candidate.source.keep && isHalfOver) await this.store.update(candidate.handle, { ...content, until: Date.now() + life }, version);
    return undefined;
  }

  private async claimAt(handle: string): Promise<StoredClaim | undefined> {
    const found = await this.store.find(handle);
    return isRetired(found) && found.content.claim !== undefined ? (found as StoredClaim) : undefined;
  }

  /** Known to the client that has the former cookie, and not to a reader of the store. */
  private idOf({ content }: StoredClaim, { former }: Candidate): string {
    const bytes = createHmac('sha512', content.claim.nonce).update(former.cookie).digest();
    return bytes.subarray(0, this.options.idBytes).toString('base64url');
  }

  /** Longer than the former session lives: it is extended whenever it is used. */
  private endOfClaim({ remaining = 0 }: FormerSession): number {
    return Date.now() + Math.max(remaining, this.options.lifetime) + GRACE;
  }

  private async readFormer({ source, former }: Candidate): Promise<FormerSession | undefined> {
    const outage = this.outages.get(source);
    try {
      const found = await this.within('read a former session', source.read(former.id));
      outage?.recovered();
      return found;
    } catch (error) {
      if (error instanceof UnreadableRecordError) this.warning.warn(`${error.message}; it is not adopted`);
      else
        outage?.failed(`former sessions '${source.cookieName}' cannot be read: ${reasonOf(error, former.id)}; requests go on without them`);
      return undefined;
    }
  }

  /** @returns whether the record is gone. */
  private async endFormer({ source, former }: Candidate): Promise<boolean> {
    if (source.keep) return false;
    try {
      await this.within('end a former session', source.end(former.id));
      return true;
    } catch (error) {
      this.logger.warn(`a former session goes on here, but its record could not be removed: ${reasonOf(error, former.id)}`);
      return false;
    }
  }

  /** @returns undefined for what cannot be a session here; that is one line in the log. */
  private stateFrom({ data, flashes = [], principal, permanent }: FormerSession, exchange: SessionExchange): SessionState | undefined {
    const state = this.manager.blank();
    state.exchange = exchange;
    const session = toServerSession(state, this.manager);
    try {
      for (const [key, value] of Object.entries(data)) this.setUnlessReserved(session, key, value);
      for (const { kind, message } of flashes) session.flash(kind, message);
      if (principal !== undefined && principal !== null) session.principal = principal;
      if (permanent !== undefined) session.permanent = permanent;
      return state;
    } catch (error) {
      this.warning.warn(`a former session cannot go on here: ${reasonOf(error)}`);
      return undefined;
    }
  }

  private setUnlessReserved(session: ReturnType<typeof toServerSession>, key: string, value: unknown): void {
    try {
      session.set(key, value);
    } catch (error) {
      if (!(error instanceof ReservedSessionKeyError)) throw error;
      this.warning.warn(`${error.message}; it is left out of the sessions that are adopted`);
    }
  }

  private adopted(candidate: Candidate, state: SessionState, found?: FormerSession): AdoptedSession {
    return { state, clearingCookies: this.clearingCookies(candidate, found) };
  }

  private clearingCookies({ source: { cookieName: name, keep } }: Candidate, found?: FormerSession): string[] {
    if (keep) return [];
    const { cookiePath: path = '/', cookieDomain } = found ?? {};
    const ours = this.options.cookie;
    // The browser takes our cookie in place of the former one.
    if (name === ours.name && path === ours.path && (typeof ours.domain === 'function' || ours.domain === cookieDomain)) return [];
    const secure = /^__(host|secure)-/i.test(name);
    const place = cookieDomain === undefined ? { path } : { path, domain: cookieDomain };
    return [stringifySetCookie({ name, value: '', ...place, httpOnly: true, secure, expires: new Date(0), maxAge: 0 })];
  }

  private within<T>(operation: string, answer: Promise<T>): Promise<T> {
    const { storeTimeout } = this.options;
    return withTimeout(answer, storeTimeout, () => new Error(`no answer within ${storeTimeout} ms to ${operation}`));
  }
}

function newClaim(until: number): RetiredContent & { claim: AdoptionClaim } {
  return { kind: 'retired', until, claim: { nonce: newNonce(), at: Date.now(), isDone: false } };
}

function newNonce(): string {
  return randomBytes(32).toString('base64url');
}

function valuesOf(cookies: string, name: string): string[] {
  return cookies
    .split(';')
    .filter((pair) => pair.includes(`${name}=`))
    .slice(0, MAX_COOKIES)
    .flatMap((pair) => parseCookie(pair)[name] ?? []);
}
