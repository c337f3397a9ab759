import { SessionConflictError, SessionStoreTimeoutError } from '../errors.js';
import { applyChanges, Attribute, type FieldChanges } from '../storage/record-fields.js';
import type { Base, SessionState } from './session-state.js';
import { hasSamePrincipal } from '../storage/session-store.js';

/** What a turn leaves to the next one of the same session: what is stored, and under which handle by now. */
export interface Latest {
  readonly handle: string;
  readonly base: Base;
}

/**
 * Whoever came through an old id may write only as long as the session belongs to whom it belonged then: somebody may have
 * logged in since, and the old id may be an attacker's.
 */
export function mayWrite(state: SessionState, base: Base, latest: Latest): boolean {
  return (!state.follower && latest.handle === state.handle) || hasSamePrincipal(base.content, latest.base.content);
}

/**
 * A session that belongs to somebody may follow a regeneration of another request; its holder only renews the id. One that
 * belongs to nobody may be about to be logged in to.
 *
 * @throws SessionConflictError
 */
export function assertOwned({ content: { fields } }: Base): void {
  if (!fields.has(Attribute.principal)) throw new SessionConflictError('it has a new id already, and may be about to be logged in to');
}

/**
 * Makes what is stored now the state that a request goes on with.
 *
 * @param changes of the request, which are part of it.
 * @param isShared whether others wrote along: perhaps over a key of this request, whose own value counts as stored for it then.
 */
export function written(state: SessionState, latest: Latest, changes: FieldChanges, isShared = false): Latest {
  const { handle, base } = latest;
  if (handle !== state.handle) {
    state.follower = true;
    state.regenerated = false;
    state.cookie = 'none';
    state.handle = handle;
  }
  state.base = base;
  const { fields } = base.content;
  state.fields.rebase(isShared ? applyChanges(fields, changes) : fields, changes);
  return latest;
}

/** The session is gone: whatever the request still does to it is dropped. */
export function bury(state: SessionState): undefined {
  state.dead = true;
  state.cookie = 'none';
  return undefined;
}

export function tooLate(storeTimeout: number): SessionStoreTimeoutError {
  return new SessionStoreTimeoutError('update a session', storeTimeout);
}
