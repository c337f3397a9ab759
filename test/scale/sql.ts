// node --import ./test/support/register-typescript.js test/scale/sql.ts [postgres mariadb sqlite]: what the purge of a large table costs, and
// what it costs the traffic beside it. Half of the sessions have expired. SCALE_ROWS=1000000 for another number than 100,000.
import type { DataSource } from 'typeorm';
import { dialectOf } from '../../lib/repositories/typeorm/dialects/dialects.js';
import { Statements } from '../../lib/repositories/typeorm/statements.js';
import type { TypeormSessionRepository } from '../../lib/repositories/typeorm/typeorm-session.repository.js';
import { fillTable, mariadb, openRepository, postgres, sqlite, type Database } from '../repositories/typeorm-bench.js';

const ROWS = Number(process.env['SCALE_ROWS'] ?? 100_000);
const PAYLOAD = 300;
const LIFETIME = 3_600_000;
const TABLE = 'sessions';
const DATABASES: Readonly<Record<string, () => Database>> = { postgres, mariadb, sqlite };

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** The milliseconds that changes take, each after a pause as between the requests of a client. */
async function traffic(repository: TypeormSessionRepository, isOver: () => boolean): Promise<number[]> {
  const times: number[] = [];
  const record = { payload: Buffer.alloc(PAYLOAD) };
  await repository.create('busy', record, LIFETIME).catch(() => undefined);
  while (!isOver()) {
    const start = performance.now();
    const found = await repository.read('busy', LIFETIME);
    if (found !== undefined) await repository.update('busy', record, found.version, LIFETIME);
    times.push(performance.now() - start);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return times.sort((a, b) => a - b);
}

function quantiles(times: readonly number[]): string {
  const at = (share: number): string => (times[Math.floor(times.length * share)] ?? 0).toFixed(1);
  return `median ${at(0.5)} ms, p99 ${at(0.99)} ms of ${times.length}`;
}

async function planOf(database: Database, source: DataSource): Promise<string> {
  const due = new Statements(source, dialectOf(database.type)!, { name: TABLE }, 'session:').due(500);
  const explain = database.type === 'better-sqlite3' ? 'EXPLAIN QUERY PLAN' : 'EXPLAIN';
  return JSON.stringify(await source.query(`${explain} ${due.text}`, due.bind({ from: 0, after: '' })));
}

async function measure(database: Database): Promise<void> {
  await database.start();
  const source = await database.connect();
  const repository = await openRepository({ dataSource: source, table: TABLE }, { storeTimeout: '2s' });
  try {
    await fillTable(database, source, TABLE, ROWS, PAYLOAD);
    print(`${database.name}, ${ROWS} sessions, half of them expired`);
    print(`  plan: ${await planOf(database, source)}`);
    let isQuiet = false;
    setTimeout(() => (isQuiet = true), 2000);
    print(`  changes alone: ${quantiles(await traffic(repository, () => isQuiet))}`);

    let isPurged = false;
    const beside = traffic(repository, () => isPurged);
    const start = performance.now();
    const removed = await repository.purgeExpired().finally(() => {
      isPurged = true;
    });
    const seconds = (performance.now() - start) / 1000;
    print(`  purge: ${removed} removed in ${seconds.toFixed(1)} s, ${((seconds * 1000) / (removed / 500)).toFixed(1)} ms a batch of 500`);
    print(`  changes meanwhile: ${quantiles(await beside)}`);

    const counting = performance.now();
    print(`  count: ${await repository.count({})} in ${(performance.now() - counting).toFixed(0)} ms`);
    if (database.type === 'postgres') {
      await new Promise((resolve) => setTimeout(resolve, 11_000));
      const [row] = await source.query(`SELECT n_tup_upd AS all, n_tup_hot_upd AS hot FROM pg_stat_user_tables WHERE relname = '${TABLE}'`);
      print(`  updates: ${row.hot} of ${row.all} were HOT`);
    }
  } finally {
    await source.destroy();
    await database.stop();
  }
}

const chosen = process.argv.slice(2).filter((name) => name in DATABASES);
for (const name of chosen.length > 0 ? chosen : Object.keys(DATABASES)) await measure(DATABASES[name]!());
process.exit();
