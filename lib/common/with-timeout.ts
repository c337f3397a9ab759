import { redactedError } from './redact.js';

/**
 * Rejects with `late()` once `milliseconds` have passed without an answer; a later answer is ignored.
 *
 * @param explain what to reject with in place of what the answer was rejected with.
 */
export function withTimeout<T>(
  answer: Promise<T>,
  milliseconds: number,
  late: () => Error,
  explain: (cause: unknown) => Error = toError,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => reject(late()), milliseconds);
    answer.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (cause: unknown) => {
        clearTimeout(timer);
        reject(explain(cause));
      },
    );
  });
}

function toError(cause: unknown): Error {
  return cause instanceof Error ? cause : redactedError(cause);
}
