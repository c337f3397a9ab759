import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { loadAverage, machine, versions } from './environment.js';
import { type Footprint, weighProcesses } from './footprint.js';
import { goalsOf } from './goals.js';
import type { Row } from './measure-group.js';
import { BENCH } from './paths.js';
import { FOOTPRINT, FULL, fullPlan, type Group, type Pace, QUICK, quickPlan } from './plan.js';
import { ServiceProcess } from './processes/service-process.js';
import { chart } from './report/chart.js';
import { report } from './report/report.js';
import { figure, nameOf, type Results } from './results.js';
import { type GroupResults, runGroup } from './run-group.js';

const HELP = `npm run bench -- [options]

  --quick            a first impression in less than three minutes
  --only=<a>,<b>     some parts, by the beginnings of their names
  --rounds=<n>       rounds of each contender in each scenario
  --seconds=<n>      length of a round
  --sessions=<n>     sessions with the small payload, and held in memory to be weighed
`;

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    sessions: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) {
  console.log(HELP);
} else {
  const { rounds, roundSeconds, warmUpSeconds, sessions, weighedSessions } = values.quick ? QUICK : FULL;
  const pace: Pace = {
    warmUpSeconds,
    weighedSessions: weighedSessions && positive('sessions', values.sessions, weighedSessions),
    rounds: positive('rounds', values.rounds, rounds),
    roundSeconds: positive('seconds', values.seconds, roundSeconds),
    sessions: positive('sessions', values.sessions, sessions),
  };
  const isAltered = [values.only, values.rounds, values.seconds, values.sessions].some((value) => value !== undefined);
  await run(isAltered ? 'part' : values.quick ? 'quick' : 'full', values.quick ? quickPlan() : fullPlan(), pace, values.only?.split(','));
}

function positive(option: string, text: string | undefined, fallback: number): number {
  const number = text === undefined ? fallback : Number(text);
  if (!(number > 0)) throw new Error(`--${option} is '${text ?? ''}'; allowed: a number greater than 0`);
  return number;
}

async function run(kind: Results['kind'], plan: readonly Group[], pace: Pace, only: readonly string[] | undefined): Promise<void> {
  const start = performance.now();
  const before = loadAverage();
  const isWanted = (name: string): boolean => only === undefined || only.some((part) => name.startsWith(part));
  const groups = plan.filter(({ name }) => isWanted(name));
  const weighs = pace.weighedSessions > 0 && isWanted(FOOTPRINT);
  if (groups.length === 0 && !weighs) throw new Error(`no part begins with '${only?.join("' or '") ?? ''}'`);

  const load = await ServiceProcess.start<string, never, never>('load/load.main.js', {});
  const finished: [Group, GroupResults][] = [];
  const failed: Record<string, string> = {};
  let footprints: Footprint[] = [];
  try {
    for (const group of groups) {
      console.log(`\n${group.name}`);
      try {
        finished.push([group, await runGroup(group, load, pace, tellProgress)]);
      } catch (error) {
        // A server that cannot be had, for instance: the other parts are worth having all the same.
        failed[group.name] = error instanceof Error ? error.message : String(error);
        console.error(`  ${failed[group.name]}`);
        process.exitCode = 1;
      }
    }
    if (weighs) {
      console.log(`\n${FOOTPRINT}`);
      footprints = await weighProcesses(load, pace.weighedSessions);
    }
  } finally {
    await load.stop();
  }

  const results: Results = {
    date: new Date().toISOString(),
    kind,
    minutes: (performance.now() - start) / 60_000,
    machine: machine(),
    loadAverage: [before, loadAverage()],
    versions: await versions(),
    servers: Object.fromEntries(finished.flatMap(([, { server }]) => (server === undefined ? [] : [server]))),
    addedLatency: Object.fromEntries(
      finished.flatMap(([{ name }, { addedLatency }]) => (addedLatency === undefined ? [] : [[name, addedLatency]])),
    ),
    rows: finished.flatMap(([, { rows }]) => rows),
    traffic: finished.flatMap(([{ name: group }, { traffic }]) => traffic.map((entry) => ({ group, ...entry }))),
    stored: finished.flatMap(([{ name }, { stored }]) => stored.map((entry) => ({ ...entry, group: name }))),
    footprints,
    failed,
  };
  await write(results);
}

/** A line for each row while the run is under way. */
function tellProgress(row: Row): void {
  const rates = Object.keys(row.rounds).map((name) => `${name} ${Math.round(figure(row, name, 'requestsPerSecond')?.median ?? NaN)}`);
  console.log(`  ${nameOf(row)}: ${rates.join(', ')} requests/s`);
}

async function write(results: Results): Promise<void> {
  const goals = goalsOf(results);
  const name = results.kind === 'full' ? 'results' : `results-${results.kind}`;
  const text = report(results, goals);
  const drawing = chart(results);
  await writeFile(join(BENCH, `${name}.json`), `${JSON.stringify({ ...results, goals }, null, 2)}\n`);
  await writeFile(join(BENCH, `${name}.md`), text);
  if (drawing !== undefined) await writeFile(join(BENCH, `${name}.svg`), drawing);
  console.log(`\n${text}\nThis is also in bench/${name}.md; every round is in bench/${name}.json.`);
}
