/** Rejects with `error()` once `milliseconds` have passed without an answer; a later answer is ignored. */
export function withDeadline<T>(answer: Promise<T>, milliseconds: number, error: () => Error): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => reject(error()), milliseconds);
    answer.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (cause: unknown) => {
        clearTimeout(timer);
        reject(cause instanceof Error ? cause : new Error(String(cause), { cause }));
      },
    );
  });
}
