// Not the global one, which tests with fake timers stop.
import { setImmediate } from 'node:timers';

let end: Promise<void> | undefined;

/**
 * The end of this turn of the event loop, when all requests that have arrived together have been looked at.
 *
 * Answers that need no server wait for it, because those of a server come together too: each response that is written by itself
 * wakes its client (a proxy on the same machine, say) by itself, which costs more than all else that a session does.
 */
export function endOfTurn(): Promise<void> {
  return (end ??= new Promise((resolve) => {
    setImmediate(() => {
      end = undefined;
      resolve();
    });
  }));
}
