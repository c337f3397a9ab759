import { type INestApplicationContext, Module } from '@nestjs/common';
import { ModuleRef, NestFactory } from '@nestjs/core';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { SessionService } from '../admin/session.service.js';
import { sessionOptionsFromEnv } from '../options/options-from-env.js';
import { RESOLVED_OPTIONS, type ResolvedSessionOptions } from '../options/resolved-options.js';
import { FILESYSTEM_DEFAULTS } from '../repositories/filesystem/filesystem.options.js';
import { ServerSessionModule } from '../server-session.module.js';
import { UsageError } from './exit-code.js';
import { loadModuleFile, type NestModule } from './module-file.js';
import { WarningLogger } from './warning-logger.js';

/** Milliseconds for one operation: who types a command waits longer than a request may. */
const STORE_TIMEOUT = '10s';

/** Where to find the sessions. */
export interface StoreSource {
  /** A compiled file with the application's module; without it, the environment says where. */
  readonly module?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Hears what the module warns of. */
  readonly warn: (text: string) => void;
}

/** The sessions of an application, opened for one command. */
export interface SessionStore {
  readonly sessions: SessionService;
  readonly options: ResolvedSessionOptions;
  readonly moduleRef: ModuleRef;
}

/**
 * Starts what is needed to reach the sessions, without a web server, lets the command work and closes it again.
 *
 * @throws UsageError when nobody said where the sessions are, or no other process can see them.
 */
export async function withSessionStore<T>(source: StoreSource, work: (store: SessionStore) => Promise<T>): Promise<T> {
  const module = source.module === undefined ? moduleFromEnv(source) : await loadModuleFile(source.module, source.cwd);
  // Nest would otherwise end the process by itself, without a word, since its own logger is off.
  const context = await NestFactory.createApplicationContext(module, { logger: new WarningLogger(source.warn), abortOnError: false });
  try {
    return await work(storeOf(context, source.module));
  } finally {
    await context.close();
  }
}

function moduleFromEnv({ env, cwd }: StoreSource): NestModule {
  const options = sessionOptionsFromEnv(env);
  // Before it is asked for anything: an empty store would look like an answer.
  assertShared(options.type ?? 'null', 'SESSION_TYPE');
  if (options.type === 'filesystem') assertFolder(options.filesystem?.dir ?? FILESYSTEM_DEFAULTS.dir, cwd);
  // The purge that removes things is the one that is typed.
  const session = ServerSessionModule.forRoot({ storeTimeout: STORE_TIMEOUT, ...options, purge: false });
  @Module({ imports: [session] })
  class CommandLineModule {}
  return CommandLineModule;
}

function storeOf(context: INestApplicationContext, file: string | undefined): SessionStore {
  try {
    const options = context.get<ResolvedSessionOptions>(RESOLVED_OPTIONS, { strict: false });
    if (options.repository === undefined) assertShared(options.type, 'the module');
    return { sessions: context.get(SessionService, { strict: false }), options, moduleRef: context.get(ModuleRef) };
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(
      `--module ${file}: does not import ServerSessionModule, or imports it from another copy of nestjs-server-session than this command's`,
      { cause: error },
    );
  }
}

function assertShared(type: ResolvedSessionOptions['type'], origin: string): void {
  if (type === 'null') {
    throw new UsageError(
      origin === 'SESSION_TYPE'
        ? 'no store: set SESSION_TYPE (and SESSION_REDIS, …) as for the application, or name its module with --module <file>'
        : `${origin} has type 'null', which keeps no sessions`,
    );
  }
  if (type === 'memory')
    throw new UsageError(`${origin} says 'memory': such sessions are inside of the application's process, and no other can see them`);
}

/** The repository would make the folder: a slip of the pen would look like a store without sessions. */
function assertFolder(dir: string, cwd: string): void {
  const folder = resolve(cwd, dir);
  if (!existsSync(folder)) throw new UsageError(`SESSION_FILE_DIR: there is no folder ${folder}`);
}
