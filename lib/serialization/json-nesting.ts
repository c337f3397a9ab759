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

/** Where the closing quote is. */
function endOfText(json: Buffer, start: number): number {
  for (let end = json.indexOf(QUOTE, start + 1); end >= 0; end = json.indexOf(QUOTE, end + 1)) {
    let backslashes = 0;
    while (json[end - 1 - backslashes] === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return end;
  }
  return json.length;
}
