import { assertNesting, MAX_NESTING } from './nesting.js';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * Refuses JSON that is nested too deeply, before it is parsed: `JSON.parse` reads any depth, but what works on its result
 * recurses. One pass over the bytes, and none over those that are too few.
 *
 * @throws RangeError
 */
export function assertJsonNesting(json: Buffer): void {
  if (json.length <= 2 * MAX_NESTING) return;
  let depth = 0;
  for (let at = 0; at < json.length; at++) {
    switch (json[at]) {
      case QUOTE:
        at = endOfText(json, at);
        break;
      case 0x5b: // [
      case 0x7b: // {
        assertNesting(++depth);
        break;
      case 0x5d: // ]
      case 0x7d: // }
        depth--;
        break;
      default:
    }
  }
}

/** Where the closing quote is, or the end of a text that has none. */
function endOfText(json: Buffer, start: number): number {
  let at = start + 1;
  while (at < json.length && json[at] !== QUOTE) at += json[at] === BACKSLASH ? 2 : 1;
  return at;
}
