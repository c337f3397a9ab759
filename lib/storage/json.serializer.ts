import { assertJsonNesting } from './json-nesting.js';
import { SessionSerializer } from './session-serializer.js';
import { TagDecoder } from './tag-decoder.js';
import { TagEncoder } from './tag-encoder.js';
import { TAG, type ValueForm } from './value-form.js';

const JSON_FORM: ValueForm = {
  writeBytes: (bytes) => bytes.toString('base64'),
  readBytes: (value) => (typeof value === 'string' ? Buffer.from(value, 'base64') : undefined),
};

/** What a tag looks like in the text; nothing is searched for tags where this is absent. */
const TAG_TEXT = `"${TAG}"`;

/** JSON, with the values that JSON lacks written as tags. Plain values take V8's own fast path both ways. */
export class JsonSerializer extends SessionSerializer {
  override readonly name = 'json';

  private readonly encoder = new TagEncoder(JSON_FORM);
  private readonly decoder = new TagDecoder(JSON_FORM);

  override serialize(value: unknown): string | undefined {
    return JSON.stringify(this.encoder.encode(value));
  }

  override deserialize(bytes: Buffer): unknown {
    assertJsonNesting(bytes);
    const text = bytes.toString('utf8');
    const value = parse(text);
    return text.includes(TAG_TEXT) ? this.decoder.decode(value) : value;
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // V8's own message quotes the text, and nothing of a session belongs in a log.
    throw new SyntaxError('it is not JSON');
  }
}
