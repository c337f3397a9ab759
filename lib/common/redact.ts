/**
 * What may stand in a message. Everything that this package says about values, options and errors of others goes through here: nothing
 * of a session, no id and no password may be in an error, a log line or telemetry.
 */

/** Control characters, line and paragraph separators, and marks that change the direction of a line. */
const UNPRINTABLE = /[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]+/gu;

/** A string that fits in one line of a log: no control characters, and not longer than `limit`. */
export function printable(text: string, limit = 200): string {
  const line = text.replace(UNPRINTABLE, ' ').trim();
  return line.length > limit ? `${line.slice(0, limit)}…` : line;
}

/** What kind of value it is, and nothing of its content. */
export function kindOf(value: unknown): string {
  if (value === undefined || value === null) return String(value);
  if (value === '') return 'an empty string';
  if (typeof value === 'string') return 'a string';
  if (typeof value === 'function') return 'a function';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : `a list of ${value.length}`;
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
