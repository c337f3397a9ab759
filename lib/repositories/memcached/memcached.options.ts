import type { OptionReader } from '../../options/option-reader.js';

/** Where the memcached back end keeps sessions. */
export type MemcachedSessionOptions = Record<string, unknown>;

export function checkMemcachedOptions(_read: OptionReader): void {}
