import { hash } from 'node:crypto';

const MAX_LENGTH = 250;
/** Memcached ends a key at a space or a control character; other bytes than ASCII the client might not give back alike. */
const SAFE = /^[\x21-\x7e]+$/;

/** The key of a session: prefix and handle as they are where Memcached takes them so, else their hash. */
export function keyFor(prefix: string, handle: string): string {
  const key = prefix + handle;
  // The client collects values in a plain object, where some names are taken.
  const isPlain = key.length <= MAX_LENGTH && SAFE.test(key) && !(key in Object.prototype);
  return isPlain ? key : `sha256:${hash('sha256', key)}`;
}
