import type { SessionState } from './session-state.js';

/** Saves, regenerations and the like of one request, one after the other: a response may end while a save is under way. */
export async function inTurn<T>(state: SessionState, operation: () => Promise<T>): Promise<T> {
  while (state.busy !== undefined) await state.busy.catch(() => undefined);
  const running = operation();
  state.busy = running;
  try {
    return await running;
  } finally {
    state.busy = undefined;
  }
}
