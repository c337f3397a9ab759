/**
 * A value as JSON has it. Sessions keep more than that: a Map becomes its pairs, a Set its members, a BigInt its digits, bytes
 * become base64 and dates ISO 8601.
 */
export function plainValue(value: unknown): unknown {
  if (typeof value === 'bigint' || (typeof value === 'number' && !Number.isFinite(value))) return String(value);
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (value instanceof Map) return Array.from(value, ([key, member]) => [plainValue(key), plainValue(member)]);
  if (value instanceof Set || Array.isArray(value)) return Array.from(value as Iterable<unknown>, plainValue);
  // A key may be called __proto__, which assigning would take for something else.
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, plainValue(member)]));
}
