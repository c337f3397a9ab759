import { SessionSerializer } from './session-serializer.js';
import { decodeTags, encodeTags, TAG } from './json-tags.js';

/** What a tagged value looks like in the text; nothing is searched for tags where this is absent. */
const TAG_TEXT = Buffer.from(`"${TAG}"`);

/**
 * JSON, with the values that JSON lacks written as tagged objects. Plain values take V8's own fast path both ways.
 */
export class JsonSerializer extends SessionSerializer {
  override readonly name = 'json';

  override serialize(value: unknown): string | undefined {
    return JSON.stringify(encodeTags(value));
  }

  override deserialize(bytes: Buffer): unknown {
    const value: unknown = JSON.parse(bytes.toString('utf8'));
    return bytes.includes(TAG_TEXT) ? decodeTags(value) : value;
  }
}
