import { setTimeout as sleep } from 'node:timers/promises';

const PAUSE = 10;

/** Checks again and again until it holds. @param patience milliseconds until its failure counts. */
export async function eventually(check: () => Promise<void>, patience = 5000): Promise<void> {
  for (const end = Date.now() + patience; ;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() >= end) throw error;
      await sleep(PAUSE);
    }
  }
}
