import type { Type } from '@nestjs/common';
import type { ModuleRef } from '@nestjs/core';
import type { OptionReader } from '../common/option-reader.js';
import { reasonOf, redactedError } from '../common/redact.js';
import { MissingPackageError, SessionOptionsError } from '../errors.js';
import { BACK_ENDS, type BackEndOptions, type SessionType } from './back-ends.js';
import { SessionRepository } from './session-repository.js';

/** What the options of the module say to back ends, checked, with spans of time in milliseconds. */
export interface RepositoryOptions extends Readonly<BackEndOptions> {
  /** Stands before every name in the store. */
  readonly keyPrefix: string;
  readonly lifetime: number;
  /** How long an operation may take. */
  readonly storeTimeout: number;
}

/** What a repository is chosen by. */
interface RepositoryChoice extends RepositoryOptions {
  readonly type: SessionType;
  readonly repository?: SessionRepository | Type<SessionRepository> | undefined;
}

/** What a back end is made from. */
export interface RepositoryContext {
  readonly options: RepositoryOptions;
  /** To find what the application itself provides, such as a database connection. */
  readonly moduleRef: ModuleRef;
}

/**
 * A back end, as the options file of its folder defines it. To add one: copy a folder, and add a line to `BACK_ENDS`.
 *
 * @typeParam Options its group of options; undefined for a back end without any.
 */
export interface BackEnd<Options = unknown> {
  /** Checks its group of options, and reports what is wrong to the reader. */
  readonly check?: (read: OptionReader) => void;
  /** Makes the repository. Imports it, and its client package, only now. */
  create(context: RepositoryContext): Promise<SessionRepository>;
  /** The type of its options for the compiler. Never set. */
  readonly options?: Options;
}

/** The repository of the chosen back end, or the application's own. */
export async function createRepository(options: RepositoryChoice, moduleRef: ModuleRef): Promise<SessionRepository> {
  const { repository, type } = options;
  if (repository instanceof SessionRepository) return repository;
  if (repository !== undefined) return moduleRef.create(repository);
  const backEnd = await BACK_ENDS[type]();
  try {
    return await backEnd.create({ options, moduleRef });
  } catch (error) {
    // A driver that does not understand a URL keeps it on its error, password included.
    throw isOurs(error)
      ? error
      : new Error(`[ServerSession] type '${type}' cannot begin: ${reasonOf(error)}`, { cause: redactedError(error) });
  }
}

function isOurs(error: unknown): boolean {
  return error instanceof SessionOptionsError || error instanceof MissingPackageError;
}
