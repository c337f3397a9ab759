import { it } from '@jest/globals';

/** Fault tests need servers of our own; with a URL in the environment there is nothing to kill. */
export function itUnless(variable: string): typeof it | typeof it.skip {
  return (process.env[variable] ?? '') === '' ? it : it.skip;
}
