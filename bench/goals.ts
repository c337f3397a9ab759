import { type Figure, figure, nameOf, NEAR_CACHE, OURS, peersOf, ratio, type Results } from './results.js';
import type { Row } from './measure-group.js';
import type { Work } from './plan.js';
import type { Spread } from './statistics.js';

/** Something this module set out to reach, and what was measured. */
export interface Goal {
  readonly goal: string;
  readonly measured: string;
  /** Undefined where this run did not measure it. */
  readonly met: boolean | undefined;
}

interface Wanted {
  readonly group: string;
  readonly work: Work;
  readonly connections?: number;
  readonly other: string;
  readonly figure: Figure;
}

/** The goals of the project. What is compared is the median of the rounds, without any allowance for noise. */
export function goalsOf({ rows }: Results): Goal[] {
  const speed = (work: Work, other: string, least: number, text: string, adapter = 'express'): Goal =>
    atLeast(
      `${text} ≥ ${least}${adapter === 'express' ? '' : ', on Fastify'}`,
      least,
      find(rows, { group: `redis-${adapter}`, work, other, figure: 'requestsPerSecond' }),
    );
  const latency = (connections: number): Goal =>
    atMost(
      `with 1 ms to the store in each direction, p50 of a read ≤ 0.6 of express-session's, ${connections === 1 ? 'one connection' : `${connections} connections`}`,
      0.6,
      find(rows, { group: 'redis-express-1ms', work: 'read', connections, other: 'express-session', figure: 'p50' }),
    );
  const besideNothing = ['express', 'fastify'].flatMap((adapter) => [
    speed('unused', 'none', 0.97, 'unused session, of the application without any', adapter),
    speed('read', 'floor', 0.95, 'reading, of a handler that talks to Redis itself', adapter),
    speed('change', 'floor', 0.95, 'changing, of a handler that talks to Redis itself', adapter),
  ]);
  return [
    ...besideNothing,
    speed('read', 'express-session', 1.3, 'reading, times express-session with connect-redis'),
    speed('change', 'express-session', 1.25, 'changing, times express-session with connect-redis'),
    speed('unused', 'express-session', 1.35, 'unused session, times express-session with connect-redis'),
    everywhere('p99 no worse than that of any peer, in every row', rows, 'p99'),
    everywhere(
      'on Fastify ahead of both peers, in every row',
      rows.filter(({ group }) => group.includes('fastify')),
      'requestsPerSecond',
    ),
    latency(1),
    latency(32),
    hotKey(rows),
    atLeast(
      'with the near cache, reading again and again, of a handler that talks to Redis itself > 1',
      1,
      find(rows, { group: 'redis-express', work: 'reread', other: 'floor', figure: 'requestsPerSecond' }, NEAR_CACHE),
    ),
  ];
}

function find(rows: readonly Row[], wanted: Wanted, own = OURS): Spread | undefined {
  const row = rows.find(
    ({ group, work, bytes, connections }) =>
      group === wanted.group && work === wanted.work && bytes === 200 && connections === (wanted.connections ?? 32),
  );
  return row && ratio(row, wanted.other, wanted.figure, own);
}

function atLeast(goal: string, least: number, measured: Spread | undefined): Goal {
  return { goal, measured: spreadText(measured), met: measured && measured.median >= least };
}

function atMost(goal: string, most: number, measured: Spread | undefined): Goal {
  return { goal, measured: spreadText(measured), met: measured && measured.median <= most };
}

/** As good as its worst row; smaller is better for times, greater for rates. */
function everywhere(goal: string, rows: readonly Row[], name: 'p99' | 'requestsPerSecond'): Goal {
  const isTime = name === 'p99';
  const all = rows.flatMap((row) => peersOf(row).map((peer) => ({ row, peer, value: ratio(row, peer, name)?.median ?? NaN })));
  if (all.length === 0) return { goal, measured: spreadText(undefined), met: undefined };
  const good = all.filter(({ value }) => (isTime ? value <= 1 : value >= 1)).length;
  const sorted = all.toSorted((a, b) => (isTime ? b.value - a.value : a.value - b.value));
  const worst = sorted[0]!;
  const measured = `${good} of ${all.length}; worst ${worst.value.toFixed(2)} beside ${worst.peer} (${nameOf(worst.row)})`;
  return { goal, measured, met: good === all.length };
}

/** No collapse: all requests are answered, and eight times as many connections take away at most a fifth of the throughput. */
function hotKey(rows: readonly Row[]): Goal {
  const goal = '256 connections that change one key of one session: no errors, and ≥ 0.8 of the throughput of 32 connections';
  const hot = rows.filter(({ group, work }) => group.startsWith('redis-') && work === 'hot');
  const groups = [...new Set(hot.map(({ group }) => group))];
  const found = groups.flatMap((name) => {
    const row = (count: number): Row | undefined => hot.find(({ group, connections }) => group === name && connections === count);
    const [few, many] = [row(32), row(256)];
    const before = few && figure(few, OURS, 'requestsPerSecond');
    const after = many && figure(many, OURS, 'requestsPerSecond');
    if (many === undefined || before === undefined || after === undefined) return [];
    const errors = (many.rounds[OURS] ?? []).reduce((sum, round) => sum + round.errors, 0);
    return [{ name, share: after.median / before.median, errors }];
  });
  const measured = found.map(({ name, share, errors }) => `${name}: ${share.toFixed(2)}, ${errors} errors`).join('; ');
  return {
    goal,
    measured: measured === '' ? spreadText(undefined) : measured,
    met: found.length === 0 ? undefined : found.every(({ share, errors }) => share >= 0.8 && errors === 0),
  };
}

function spreadText(spread: Spread | undefined): string {
  return spread === undefined ? 'not measured' : `${spread.median.toFixed(2)} (${spread.min.toFixed(2)}–${spread.max.toFixed(2)})`;
}
