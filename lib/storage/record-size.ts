import { SessionTooLargeError } from '../errors.js';
import type { SerializedFields } from './record-fields.js';

/** What each field costs besides its key and value: its place in the record's header, and in memory once it is read. */
const FIELD_OVERHEAD = 32;
const LARGEST_SHOWN = 3;

/**
 * Keys count as values do: a record of many small keys costs as much as one of few large values.
 *
 * @param maxBytes bytes of keys and values, and a constant for each field.
 * @throws SessionTooLargeError naming the largest keys.
 */
export function assertSize(fields: SerializedFields, maxBytes: number): void {
  let bytes = 0;
  // A key has at least as many bytes as characters; most have exactly as many. So exact counting is left for a close call.
  for (const [key, value] of fields) bytes += 3 * key.length + value.length + FIELD_OVERHEAD;
  if (bytes <= maxBytes) return;
  const sizes = Array.from(fields, ([key, value]) => ({
    key: key.slice(1),
    bytes: Buffer.byteLength(key) + value.length + FIELD_OVERHEAD,
  }));
  bytes = sizes.reduce((sum, size) => sum + size.bytes, 0);
  if (bytes <= maxBytes) return;
  const largest = sizes.sort((a, b) => b.bytes - a.bytes).slice(0, LARGEST_SHOWN);
  throw new SessionTooLargeError(bytes, maxBytes, largest);
}
