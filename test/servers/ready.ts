import { pauseFor } from './pause-for.js';
import type { Runner } from './runner.js';

const LIMIT = 30_000;
const ATTEMPT_LIMIT = 5_000;
const INTERVAL = 25;

/** The port was taken by somebody else in the moment between choosing it and listening on it. */
export class PortTakenError extends Error {}

/** Asks until the server answers; resolves to what the probe resolves to. */
export async function untilReady<T>(name: string, runner: Runner, probe: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + LIMIT;
  let last: unknown;
  while (Date.now() < deadline) {
    try {
      const answer = await withinLimit(probe());
      // Whoever answered may be a stranger, when ours could not have the port.
      if (runner.running) return answer;
    } catch (error) {
      last = error;
    }
    if (!runner.running) throw await failure(`${name} ended before it was ready`, runner, last);
    await pauseFor(INTERVAL);
  }
  throw await failure(`${name} was not ready within ${LIMIT / 1000} s`, runner, last);
}

async function failure(message: string, runner: Runner, cause: unknown): Promise<Error> {
  const log = await runner.logTail();
  const text = `${message}. Its log ends with:\n${log}`;
  return /address (is )?already in use|already allocated|BindException/i.test(log)
    ? new PortTakenError(text, { cause })
    : new Error(text, { cause });
}

/** A server that accepts and then says nothing must not use up the whole limit in one attempt. */
async function withinLimit<T>(attempt: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ATTEMPT_LIMIT} ms`)), ATTEMPT_LIMIT);
  });
  try {
    return await Promise.race([attempt, limit]);
  } finally {
    clearTimeout(timer);
  }
}
