import { files } from '../../lib/repositories/filesystem/files.js';

type Calls = Record<string, number>;

/** How often each of the calls of the filesystem back end is made meanwhile. */
export async function callsOf(operation: () => Promise<unknown>): Promise<Calls> {
  const calls: Calls = {};
  const table = files as Record<string, (...args: never[]) => unknown>;
  const originals = { ...table };
  for (const [name, original] of Object.entries(originals)) {
    table[name] = (...args: never[]) => {
      calls[name] = (calls[name] ?? 0) + 1;
      return original(...args);
    };
  }
  try {
    await operation();
  } finally {
    Object.assign(table, originals);
  }
  return calls;
}

/** All of them together. */
export async function callCountOf(operation: () => Promise<unknown>): Promise<number> {
  return Object.values(await callsOf(operation)).reduce((sum, count) => sum + count, 0);
}
