/**
 * Turns the value of one session key into bytes and back. Values are serialized key by key, so that a request decodes
 * only what it reads and rewrites only what it changed.
 *
 * A serializer must give the same bytes for the same value: changes are found by comparing them.
 */
export abstract class SessionSerializer {
  /** Written into each record, so that a deploy that changes the serializer recognizes the records of the old one. */
  abstract readonly name: string;

  /**
   * @returns the serialized value; undefined for a value that is not kept at all (a function, `undefined`).
   * @throws when the value cannot be serialized; the caller adds the name of the key.
   */
  abstract serialize(value: unknown): string | Uint8Array | undefined;

  /**
   * @throws when the bytes are not what `serialize` gives; the value then counts as absent. The message is logged, so
   *   nothing of the content belongs in it.
   */
  abstract deserialize(bytes: Buffer): unknown;
}
