import { ContenderProcess } from './processes/contender-process.js';
import type { Load } from './measure-group.js';

/** What a process weighs that holds sessions in its memory. */
export interface Footprint {
  readonly contender: string;
  readonly sessions: number;
  readonly payload: number;
  /** The whole process with them, and of that its JavaScript heap. */
  readonly rssBytes: number;
  readonly heapBytes: number;
  /** By how much the process grew for each of the last 95 %. */
  readonly bytesPerSession: number;
}

const PAYLOAD = 200;

/** Each in a new process that collects its garbage before it is weighed. */
export async function weighProcesses(load: Load, sessions: number): Promise<Footprint[]> {
  const footprints: Footprint[] = [];
  for (const name of ['server-session', 'express-session']) {
    const setup = { contender: name, adapter: 'express', store: 'memory', location: '' } as const;
    const contender = await ContenderProcess.start(setup, ['--expose-gc']);
    try {
      const fill = (count: number) => load.ask({ job: 'fill', port: contender.port, pool: 'footprint', sessions: count, bytes: PAYLOAD });
      // Code that is compiled and buffers that stay are not the price of the sessions.
      const first = Math.ceil(sessions / 20);
      await fill(first);
      const before = await contender.usage();
      await fill(sessions - first);
      const { rssBytes, heapBytes } = await contender.usage();
      const bytesPerSession = (rssBytes - before.rssBytes) / (sessions - first);
      footprints.push({ contender: name, sessions, payload: PAYLOAD, rssBytes, heapBytes, bytesPerSession });
    } finally {
      await contender.stop();
    }
  }
  return footprints;
}
