import type { ContenderProcess } from './processes/contender-process.js';
import type { LoadJob, LoadResult } from './load/load-job.js';
import { contendersOf, type Group, type Pace, type Scenario } from './plan.js';
import type { ServiceProcess } from './processes/service-process.js';

export type Load = ServiceProcess<string, LoadJob, LoadResult>;

/** Larger payloads are measured on fewer sessions: what counts is their size. */
const LARGE_SESSIONS = 256;

/** One round of one contender. */
export interface Round {
  readonly requestsPerSecond: number;
  readonly p50: number;
  readonly p99: number;
  /** Microseconds of its process for each request. */
  readonly cpu: number;
  readonly errors: number;
}

/** A scenario and the rounds of each contender, the first of one beside the first of the other. */
export interface Row extends Scenario {
  readonly group: string;
  readonly rounds: Readonly<Record<string, readonly Round[]>>;
}

/** Makes the sessions that a group needs, and tries out every contender. */
export async function fillPools(group: Group, contenders: readonly ContenderProcess[], load: Load, pace: Pace): Promise<void> {
  const sizes = new Set(group.scenarios.map(({ bytes }) => bytes));
  for (const { name, port } of contenders) {
    if (name === 'none') continue;
    for (const bytes of sizes) {
      const sessions = bytes > 1024 ? LARGE_SESSIONS : Math.min(pace.sessions, group.sessions);
      await load.ask({ job: 'fill', port, pool: poolOf(group, name, bytes), sessions, bytes });
    }
    await load.ask({ job: 'check', port, pool: poolOf(group, name, Math.min(...sizes)) });
  }
}

/** Contenders in turn, A B A B …, after each has warmed up. */
export async function measureScenario(
  group: Group,
  scenario: Scenario,
  contenders: readonly ContenderProcess[],
  load: Load,
  pace: Pace,
): Promise<Row> {
  const names = contendersOf(group, scenario);
  const present = contenders.filter(({ name }) => names.includes(name));
  const rounds: Record<string, Round[]> = {};
  for (const contender of present) {
    await measureRound(group, scenario, contender, load, pace.warmUpSeconds);
    rounds[contender.name] = [];
  }
  for (let round = 0; round < pace.rounds; round++) {
    for (const contender of present) {
      rounds[contender.name]?.push(await measureRound(group, scenario, contender, load, pace.roundSeconds));
    }
  }
  return { group: group.name, ...scenario, rounds };
}

async function measureRound(group: Group, scenario: Scenario, contender: ContenderProcess, load: Load, seconds: number): Promise<Round> {
  const { work, bytes, connections } = scenario;
  const { name, port } = contender;
  const before = await contender.usage();
  const result = await load.ask({ job: 'shoot', port, pool: poolOf(group, name, bytes), work, connections, until: { seconds } });
  const after = await contender.usage();
  const { requestsPerSecond, p50, p99, errors, requests } = result;
  return { requestsPerSecond, p50, p99, errors, cpu: (after.cpuMicros - before.cpuMicros) / Math.max(1, requests) };
}

/** The sessions of one contender, with payloads of one size. */
function poolOf(group: Group, contender: string, bytes: number): string {
  return `${group.name}/${contender}/${bytes}`;
}
