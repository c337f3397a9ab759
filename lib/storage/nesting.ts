/**
 * How deep stored values may be nested, counted in what is written: a list or an object is one level, a Map three. Well
 * above what people store, well below where recursion ends. Writing and reading know the same bound, so what was read can
 * be written again.
 */
export const MAX_NESTING = 256;

/** @throws RangeError past the bound: above all for a value that contains itself. */
export function assertNesting(depth: number): void {
  if (depth > MAX_NESTING) throw new RangeError(`it contains itself or is nested too deeply (more than ${MAX_NESTING} levels)`);
}
