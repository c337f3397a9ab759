import { expect } from '@jest/globals';
import type { Fault } from './faults.js';
import type { OutageResult } from './outage.js';
import { STORE_TIMEOUT } from './scene.js';

/** A load and a save at most; the rest is for a busy machine. */
const LONGEST = 2 * STORE_TIMEOUT + 2_500;
const MORE_HEAP = 48 * 1024 * 1024;
/** Pools of connections may have grown to one for each client; a leak would be one for each failure, of which there are hundreds. */
const MORE_HANDLES = 40;

/** What holds for every outage. */
export function expectNothingLost(result: OutageResult, { endsStore = false }: Fault): void {
  expect(result.acknowledged).toBeGreaterThan(0);
  if (result.durable || !endsStore) expect(result).toMatchObject({ lost: 0, wrongReads: 0 });
  expect(result.longest - result.stall).toBeLessThan(LONGEST);
  if (result.before === undefined || result.after === undefined) return;
  expect(result.after.handles).toBeLessThanOrEqual(result.before.handles + MORE_HANDLES);
  expect(result.after.heapBytes).toBeLessThan(result.before.heapBytes + MORE_HEAP);
}
