/** Whether an error is one of the system's, with one of these codes. (Not by its class: each realm has its own `Error`.) */
export function isErrno(error: unknown, ...codes: string[]): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && codes.includes(String(error.code));
}

/** Resolves to undefined where the call failed with one of these codes. */
export async function orUndefined<T>(codes: string | string[], call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (isErrno(error, ...[codes].flat())) return undefined;
    throw error;
  }
}
