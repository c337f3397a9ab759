import type { InjectionToken } from '@nestjs/common';
import type { ModuleRef } from '@nestjs/core';
import { SessionOptionsError } from '../errors.js';

/** A kind of provider that an application may have for its own use, and that sessions can use too: a database connection. */
export interface ApplicationProvider {
  /** As in a sentence: `'DataSource'`. */
  readonly kind: string;
  /** The option that says the name of one, as in `'typeorm.dataSourceName'`. */
  readonly option: string;
  /** The token of the one with this name; without a name, of the default one. */
  token(name?: string): InjectionToken;
  /** How an application makes one with this name, for the message of an error. */
  example(name: string): string;
}

/**
 * Finds a provider of the application, in whatever module it is. To be called from `onModuleInit` on: before, it may not have
 * been created yet.
 *
 * @param name the name from the options; without one, the default provider is looked for.
 * @returns undefined when the application has no default provider of this kind.
 * @throws SessionOptionsError when the application has none with this name.
 */
export function findApplicationProvider<T>(moduleRef: ModuleRef, provider: ApplicationProvider, name?: string): T | undefined {
  const { kind, option, token, example } = provider;
  try {
    return moduleRef.get<T>(token(name), { strict: false });
  } catch {
    // Nest has no way to ask whether a provider exists, except to try.
    if (name === undefined) return undefined;
    throw new SessionOptionsError([`'${option}' is '${name}'; allowed: the name of a ${kind} of the application, as in ${example(name)}`]);
  }
}
