/** The fields of a record in their serialized form, in order. */
export type SerializedFields = ReadonlyMap<string, Buffer>;

/** What one request did to a session, key by key; undefined is a deletion. */
export type FieldChanges = ReadonlyMap<string, Buffer | undefined>;

/**
 * The fields of a record are of three kinds, told apart by the first character of their key. All are merged alike: two
 * requests that touch different keys lose nothing of one another.
 */
export const FieldKind = {
  /** A key of the application. */
  data: '.',
  /** Something the session knows about itself: `@principal`, `@permanent`, `@meta`. */
  attribute: '@',
  /** One flash message each, so that messages of parallel requests add up. */
  flash: '!',
} as const;

/** What a session knows about itself. */
export const Attribute = {
  /** Whom it belongs to. */
  principal: `${FieldKind.attribute}principal`,
  /** Whether its cookie has an expiry, where the application said so. */
  permanent: `${FieldKind.attribute}permanent`,
  /** Milliseconds that the session lives since its last use, where the application said so. */
  lifetime: `${FieldKind.attribute}lifetime`,
  /** What the application noted of the request that it began with. */
  meta: `${FieldKind.attribute}meta`,
} as const;

/** The merge: `changes` of one request on top of whatever is stored by now. Neither argument is altered. */
export function applyChanges(fields: SerializedFields, changes: FieldChanges): SerializedFields {
  const merged = new Map(fields);
  for (const [key, bytes] of changes) {
    if (bytes === undefined) merged.delete(key);
    else merged.set(key, bytes);
  }
  return merged;
}
