const MAX_LENGTH = 512;
/** Control characters (Unicode category Cc), NUL among them: databases cut strings at it, and logs break at others. */
const CONTROL = /\p{Cc}/u;

/** Whether a value can be the principal of a session: a non-empty string of at most 512 characters without control characters. */
export function isPrincipal(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= MAX_LENGTH && !CONTROL.test(value);
}

/**
 * Checks a principal that a caller gave.
 *
 * @throws TypeError that says what was given. An object in its place could be a query to a database.
 */
export function assertPrincipal(value: unknown): asserts value is string {
  if (isPrincipal(value)) return;
  throw new TypeError(
    `[ServerSession] a principal is a non-empty string of at most ${MAX_LENGTH} characters without control characters; given: ${describe(value)}`,
  );
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (value === '') return 'an empty string';
  if (typeof value === 'string') {
    return value.length > MAX_LENGTH ? `a string of ${value.length} characters` : 'a string with a control character';
  }
  if (typeof value === 'object') return Array.isArray(value) ? 'an array' : 'an object';
  return typeof value === 'number' || typeof value === 'boolean' ? `the ${typeof value} ${value}` : `a ${typeof value}`;
}
