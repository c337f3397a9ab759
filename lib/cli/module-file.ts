import type { DynamicModule, Type } from '@nestjs/common';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { reasonOf } from '../errors.js';
import { UsageError } from './exit-code.js';

/** What `@Module()` leaves on a class, under the names of its fields. */
const MODULE_FIELDS = ['imports', 'providers', 'controllers', 'exports'];

/** A Nest module, in either of its forms. */
export type NestModule = Type | DynamicModule;

/**
 * The Nest module of a compiled file: its default export, or else the first of its exports that is a module.
 *
 * @throws UsageError when the file is not there, cannot be loaded, or has no module.
 */
export async function loadModuleFile(file: string, cwd: string): Promise<NestModule> {
  const path = resolve(cwd, file);
  const exported = await importFile(path);
  // The default of a CommonJS file is all that it exports.
  const candidates = [exported['default'], exported, isObject(exported['default']) ? exported['default'] : {}].flatMap((part) =>
    isNestModule(part) ? [part] : isObject(part) ? Object.values(part) : [],
  );
  const found = candidates.find(isNestModule);
  if (found === undefined) throw new UsageError(`--module ${file}: exports no class with @Module()`);
  return found;
}

async function importFile(path: string): Promise<Record<string, unknown>> {
  if (!existsSync(path)) throw new UsageError(`--module: there is no file ${path}`);
  try {
    return (await import(pathToFileURL(path).href)) as Record<string, unknown>;
  } catch (error) {
    const hint = /\.[cm]?ts$/.test(path) ? '; name the compiled .js file, as in dist/app.module.js' : '';
    throw new UsageError(`--module: ${path} cannot be loaded: ${reasonOf(error)}${hint}`, { cause: error });
  }
}

function isNestModule(value: unknown): value is NestModule {
  if (typeof value === 'function') return MODULE_FIELDS.some((key) => Reflect.hasMetadata(key, value));
  return isObject(value) && typeof value['module'] === 'function';
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
