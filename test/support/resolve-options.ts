import type { ServerSessionOptions } from 'nestjs-server-session';
import { SessionOptionsError } from '../../lib/errors.js';
import { resolveOptions } from '../../lib/options/resolve-options.js';
import type { ResolvedSessionOptions } from '../../lib/options/resolved-options.js';
import { loadBackEnds, SESSION_TYPES } from '../../lib/repositories/back-ends.js';

const EVERY_BACK_END = await loadBackEnds(Object.fromEntries(SESSION_TYPES.map((type) => [type, {}])));

/** Options as the module resolves them, those of back ends included. @param given what a user of plain JavaScript may write. */
export function resolve(given: unknown): ResolvedSessionOptions {
  return resolveOptions(given as ServerSessionOptions, EVERY_BACK_END);
}

/** What is wrong with options. */
export function faultsOf(given: unknown): readonly string[] {
  try {
    resolve(given);
    return [];
  } catch (error) {
    if (error instanceof SessionOptionsError) return error.faults;
    throw error;
  }
}
