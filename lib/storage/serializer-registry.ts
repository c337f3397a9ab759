import { reasonOf, UnreadableRecordError } from '../errors.js';
import { toBuffer } from '../common/bytes.js';
import type { SessionSerializer } from './session-serializer.js';
import type { SessionContent } from './record.codec.js';

/** The serializer that writes, and those that can still read what an earlier deploy wrote. */
export class SerializerRegistry {
  private readonly byName: ReadonlyMap<string, SessionSerializer>;

  constructor(
    readonly current: SessionSerializer,
    others: readonly SessionSerializer[] = [],
  ) {
    this.byName = new Map([...others, current].map((serializer) => [serializer.name, serializer]));
  }

  /**
   * The content in the form of the current serializer.
   *
   * @throws UnreadableRecordError when nothing here can read it.
   */
  convert(content: SessionContent): SessionContent {
    if (content.serializer === this.current.name) return content;
    const former = this.byName.get(content.serializer);
    if (former === undefined) {
      throw new UnreadableRecordError(`it was written by the serializer '${content.serializer}', which is not configured`);
    }
    const fields = new Map<string, Buffer>();
    for (const [key, bytes] of content.fields) {
      try {
        const serialized = this.current.serialize(former.deserialize(bytes));
        if (serialized !== undefined) fields.set(key, toBuffer(serialized));
      } catch (error) {
        throw new UnreadableRecordError(`its field '${key.slice(1)}' cannot be converted from ${former.name}: ${reasonOf(error)}`, error);
      }
    }
    return { ...content, serializer: this.current.name, fields };
  }
}
