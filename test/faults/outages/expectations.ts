import { expect } from '@jest/globals';
import type { Store } from '../support/stores.js';
import type { Fault } from './faults.js';
import type { OutageResult } from './outage.js';
import { STORE_TIMEOUT } from './scene.js';

/** A load and a save at most, and a little. */
const LONGEST = 2 * STORE_TIMEOUT + 1_000;
/** How often a request has to wait for a busy machine: as it is sent, at each of two timeouts, and as its answer is read. */
const WAITS = 4;
const MORE_HEAP = 48 * 1024 * 1024;
/** Writes that lay in the buffers of sockets when the server stopped, where few were refused in all. */
const IN_BUFFERS = 10;
/** While hundreds of requests a second wait for their second to be over. */
const MORE_MEMORY = 128 * 1024 * 1024;
/** Pools of connections may have grown to one for each client; a leak would be one for each failure, of which there are hundreds. */
const MORE_HANDLES = 40;

/** What holds for every outage. */
export function expectNothingLost(result: OutageResult, { endsStore = false, isFull = false }: Fault, { evicts = false }: Store): void {
  expect(result.acknowledged).toBeGreaterThan(0);
  const mayForget = (endsStore && !result.durable) || (isFull && evicts);
  if (!mayForget) expect(result).toMatchObject({ lost: 0, wrongReads: 0 });
  // A replica that is elected may not have heard of a log-out yet; what forgets, forgets sessions and no log-outs.
  if (!endsStore || result.durable || evicts) expect(result).toMatchObject({ revived: 0 });
  // A request that began two timeouts after the end is served.
  expect(result).toMatchObject({ unserved: [] });
  expect(result.longest).toBeLessThan(LONGEST + WAITS * result.lateness);
  if (isFull) expect(result.endedMeanwhile).toBeGreaterThan(0);
  if (result.newcomers !== undefined) {
    const { refused, storedAfterwards, memory } = result.newcomers;
    expect(storedAfterwards).toBeLessThanOrEqual(Math.max(IN_BUFFERS, refused / 20));
    expect(memory).toBeLessThan(MORE_MEMORY);
  }
  if (result.before === undefined || result.after === undefined) return;
  expect(result.after.handles).toBeLessThanOrEqual(result.before.handles + MORE_HANDLES);
  expect(result.after.heapBytes).toBeLessThan(result.before.heapBytes + MORE_HEAP);
}
