import { fileURLToPath } from 'node:url';

/** The folder `bench/`, seen from where this file is compiled to. */
export const BENCH = fileURLToPath(new URL('../../', import.meta.url));

/** A compiled script of the benchmark. */
export function scriptPath(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}
