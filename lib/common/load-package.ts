import { MissingPackageError } from '../errors.js';

/**
 * Imports an optional peer dependency.
 *
 * @param load a literal `() => import('…')`, so that bundlers see it.
 * @param feature what needs the package, for the message.
 * @param packages what to install.
 * @throws MissingPackageError when it is not installed; any other failure as it is.
 */
export async function loadPackage<T>(load: () => Promise<T>, feature: string, packages: string): Promise<T> {
  try {
    return await load();
  } catch (error) {
    if (isModuleNotFound(error)) throw new MissingPackageError(feature, packages, error);
    throw error;
  }
}

/** Looks at the code alone: errors of Jest come from another realm, where `instanceof Error` is false. */
function isModuleNotFound(error: unknown): boolean {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND';
}
