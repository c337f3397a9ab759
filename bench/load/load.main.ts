import { beginSessions, checkSession } from './http-client.js';
import { type LoadJob, type LoadResult, NOTHING } from './load-job.js';
import { shoot } from './shoot.js';

/** What is sent where no session was made: as long as a real one, and foreign to everybody. */
const FOREIGN_COOKIE = `session=${'A'.repeat(43)}`;

const pools = new Map<string, string[]>();

async function work(job: LoadJob): Promise<LoadResult> {
  const cookies = pools.get(job.pool) ?? [FOREIGN_COOKIE];
  switch (job.job) {
    case 'fill':
      pools.set(job.pool, await beginSessions(job.port, job.sessions, job.bytes));
      return NOTHING;
    case 'check':
      await checkSession(job.port, cookies[0] ?? '');
      return NOTHING;
    case 'shoot':
      return shoot(job, cookies);
  }
}

process.on('message', (job: LoadJob) => {
  work(job).then(
    (result) => process.send?.(result),
    (error: unknown) => process.send?.({ error: error instanceof Error ? error.message : String(error) }),
  );
});
process.on('disconnect', () => process.exit());
process.send?.('ready');
