import autocannon from 'autocannon';
import type { Work } from '../plan.js';
import { percentile } from '../statistics.js';
import type { LoadResult, ShootJob } from './load-job.js';

/** How many sessions a work is about, where it is not all of the pool. */
const SESSIONS: Partial<Record<Work, number>> = { hot: 1, reread: 256 };
/** The route of a work that is not called like it. */
const ROUTES: Partial<Record<Work, string>> = { hot: 'change', reread: 'read' };

/** In a mix, one request of so many changes something. */
const CHANGE_EVERY = 10;

/** Autocannon's work with our own clock: its latencies are whole milliseconds, and its seconds are counted in samples. */
export async function shoot({ port, work, connections, until }: ShootJob, cookies: readonly string[]): Promise<LoadResult> {
  const pool = cookies.slice(0, SESSIONS[work]);
  let clients = 0;
  const durations: number[] = [];
  let first = 0;
  let last = 0;
  const options: autocannon.Options = {
    url: `http://127.0.0.1:${port}`,
    connections,
    // How often it looks whether it is time to stop, in milliseconds.
    sampleInt: 50,
    setupClient: (client) => client.setRequests(requestsOf(work, shareOf(pool, clients++, connections))),
    ...('seconds' in until ? { duration: until.seconds } : { amount: until.requests }),
  };
  const result = await new Promise<autocannon.Result>((resolve, reject) => {
    const instance = autocannon(options, (error: unknown, finished: autocannon.Result) => {
      if (error === null || error === undefined) resolve(finished);
      else reject(error instanceof Error ? error : new Error('autocannon failed'));
    });
    instance.on('response', (_client, _status, _bytes, milliseconds) => {
      last = performance.now();
      if (durations.length === 0) first = last;
      durations.push(milliseconds);
    });
  });
  // At least two answers, or there is no time between them.
  if (durations.length < 2) return unanswered(connections, until);
  const sorted = Float64Array.from(durations).sort();
  return {
    requests: sorted.length,
    requestsPerSecond: ((sorted.length - 1) / (last - first)) * 1000,
    p50: percentile(sorted, 0.5),
    p99: percentile(sorted, 0.99),
    errors: result.errors + result.non2xx,
  };
}

/** Nobody knows how long the answers would have taken: not less than the round. */
function unanswered(connections: number, until: ShootJob['until']): LoadResult {
  const waited = 'seconds' in until ? until.seconds * 1000 : 0;
  return { requests: 0, requestsPerSecond: 0, p50: waited, p99: waited, errors: connections };
}

/** The sessions that one connection uses: its own ones as long as there are enough. */
function shareOf(cookies: readonly string[], client: number, connections: number): readonly string[] {
  if (cookies.length < connections) return [cookies[client % cookies.length] ?? ''];
  return cookies.filter((_, index) => index % connections === client);
}

function requestsOf(work: Work, cookies: readonly string[]): autocannon.Request[] {
  return cookies.map((cookie, index) => ({ method: 'GET', path: pathOf(work, index), headers: { cookie } }));
}

function pathOf(work: Work, index: number): string {
  const route = work === 'mix' ? (index % CHANGE_EVERY === CHANGE_EVERY - 1 ? 'change' : 'read') : (ROUTES[work] ?? work);
  return `/${route}?page=1`;
}
