/**
 * What a text or binary form can hold by itself. What it cannot is written as `{"$type": <name>, "value": …}`; see
 * `TagEncoder`.
 */
export interface ValueForm {
  /** Binary data as a value of the form. */
  readonly writeBytes: (bytes: Buffer) => unknown;
  /** @returns the data that `writeBytes` was given; undefined for what is not such a value. */
  readonly readBytes: (value: unknown) => Buffer | undefined;
  /** Whether a text comes back as it was; without this member every text does. */
  readonly holdsText?: (text: string) => boolean;
  /** Whether an object with this key comes back as it was; without this member every one does. */
  readonly holdsKey?: (key: string) => boolean;
}

/**
 * The key that marks a tag. A plain object of the application that has a key of this name is wrapped in a tag itself, so
 * that it comes back as what it was.
 */
export const TAG = '$type';

export interface Tagged {
  [TAG]: string;
  value: unknown;
}

/** Sets a key as plain data. An assignment would set the prototype where the key is `__proto__`. */
export function put(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key === '__proto__') Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
  else object[key] = value;
}
