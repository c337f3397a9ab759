import { type Figure, figure, nameOf, NEAR_CACHE, OURS, payloadName, peersOf, ratio, type Results } from './results.js';
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
  readonly bytes?: number;
  readonly other: string;
  readonly figure: Figure;
  readonly own?: string;
}

/** The goals of the project. What is compared is the median of the rounds, without any allowance for noise. */
export function goalsOf({ rows }: Results): Goal[] {
  const rate = (group: string, work: Work, other: string, least: number, text: string, own = OURS): Goal =>
    atLeast(`${text} ≥ ${least}`, least, find(rows, { group, work, other, figure: 'requestsPerSecond', own }));
  const besideOwnCode = (adapter: string): Goal[] => [
    rate(`redis-${adapter}`, 'unused', 'none', 0.97, `${adapter}: unused session, of the application without any`),
    rate(`redis-${adapter}`, 'read', 'interceptor', 0.97, `${adapter}: reading, of an interceptor written by hand`),
    rate(`redis-${adapter}`, 'change', 'interceptor', 0.97, `${adapter}: changing, of an interceptor written by hand`),
  ];
  const latency = (connections: number): Goal =>
    atMost(
      `1 ms to the store in each direction, p50 of a read, ${connections === 1 ? 'one connection' : `${connections} connections`}, of express-session's ≤ 0.6`,
      0.6,
      find(rows, { group: 'redis-express-1ms', work: 'read', connections, other: 'express-session', figure: 'p50' }),
    );
  const smallChange = (bytes: number): Goal =>
    atMost(
      `memory: processor time of a change, ${payloadName(bytes)}, of express-session's ≤ 1`,
      1,
      find(rows, { group: 'memory-express', work: 'change', bytes, other: 'express-session', figure: 'cpu' }),
    );
  return [
    ...besideOwnCode('express'),
    ...besideOwnCode('fastify'),
    rate('redis-express', 'read', 'express-session', 1.25, 'express: reading, times express-session with connect-redis'),
    rate('redis-express', 'change', 'express-session', 1.2, 'express: changing, times express-session with connect-redis'),
    rate('redis-fastify', 'read', 'fastify-session', 1.2, 'fastify: reading, times @fastify/session with connect-redis'),
    rate('redis-fastify', 'change', 'fastify-session', 1.2, 'fastify: changing, times @fastify/session with connect-redis'),
    rate('filesystem-express', 'change', 'express-session', 1.2, 'files: changing, times session-file-store'),
    rate('postgres-express', 'read', 'express-session', 1.2, 'PostgreSQL: reading, times connect-pg-simple'),
    rate('postgres-express', 'change', 'express-session', 1.2, 'PostgreSQL: changing, times connect-pg-simple'),
    smallChange(2),
    smallChange(200),
    everywhere('p99 no worse than that of any peer, in every row', rows, 'p99'),
    latency(1),
    latency(32),
    hotKey(rows),
    rate('redis-express', 'reread', 'interceptor', 1, 'near cache, reading again and again, of an interceptor written by hand', NEAR_CACHE),
  ];
}

function find(rows: readonly Row[], { group, work, connections = 32, bytes = 200, other, figure: name, own }: Wanted): Spread | undefined {
  const row = rows.find((one) => one.group === group && one.work === work && one.bytes === bytes && one.connections === connections);
  return row && ratio(row, other, name, own);
}

function atLeast(goal: string, least: number, measured: Spread | undefined): Goal {
  return { goal, measured: spreadText(measured), met: measured && measured.median >= least };
}

function atMost(goal: string, most: number, measured: Spread | undefined): Goal {
  return { goal, measured: spreadText(measured), met: measured && measured.median <= most };
}

/** As good as its worst row. */
function everywhere(goal: string, rows: readonly Row[], name: 'p99'): Goal {
  const all = rows.flatMap((row) => peersOf(row).map((peer) => ({ row, peer, value: ratio(row, peer, name)?.median ?? NaN })));
  if (all.length === 0) return { goal, measured: spreadText(undefined), met: undefined };
  const good = all.filter(({ value }) => value <= 1).length;
  const sorted = all.toSorted((a, b) => b.value - a.value);
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
