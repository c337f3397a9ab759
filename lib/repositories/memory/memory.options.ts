import type { OptionReader } from '../../common/option-reader.js';
import type { BackEnd } from '../repository.factory.js';

/** Bounds of the memory back end; at a bound expired sessions go first, then those that were not used for longest. */
export interface MemorySessionOptions {
  /** @default 100000 */
  maxEntries?: number;
  /**
   * Bytes of all records together.
   * @default 268435456 (256 MiB)
   */
  maxBytes?: number;
}

export const MEMORY_DEFAULTS = { maxEntries: 100_000, maxBytes: 256 * 1024 * 1024 };

export const backEnd: BackEnd<MemorySessionOptions> = {
  check: checkMemoryOptions,
  create: async ({ options }) => new (await import('./memory-session.repository.js')).MemorySessionRepository(options.memory),
};

function checkMemoryOptions(read: OptionReader): void {
  read.integer('maxEntries', MEMORY_DEFAULTS.maxEntries, 1);
  read.integer('maxBytes', MEMORY_DEFAULTS.maxBytes, 1024);
  read.rejectUnknown();
}
