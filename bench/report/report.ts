import type { Goal } from '../goals.js';
import type { Row } from '../measure-group.js';
import { belowOf, figure, NEAR_CACHE, OURS, payloadName, peersOf, ratio, type Results } from '../results.js';
import type { Spread } from '../statistics.js';
import { table } from './table.js';

const MIB = 1024 * 1024;

const WORKS: Record<string, string> = {
  unused: 'unused',
  read: 'read',
  reread: 'read, again and again',
  change: 'change',
  mix: '90 % read, 10 % change',
  hot: 'change, all on one session',
};

/** The report as Markdown. */
export function report(results: Results, goals: readonly Goal[]): string {
  const groups = [...new Set(results.rows.map(({ group }) => group))];
  return [
    '# What was measured',
    conditions(results),
    ...(goals.some(({ met }) => met !== undefined) ? ['## Goals', goalTable(goals)] : []),
    ...groups.map((group) => section(results, group)),
    ...(results.traffic.length > 0 ? ['## What a request costs Redis', trafficTable(results)] : []),
    ...(results.stored.length > 0 ? ['## What a session takes up in Redis', storedTable(results)] : []),
    ...(results.footprints.length > 0 ? ['## Sessions in the memory of the process', footprintTable(results)] : []),
  ]
    .join('\n\n')
    .concat('\n');
}

function conditions({ date, kind, minutes, machine, loadAverage, versions, servers, addedLatency, failed }: Results): string {
  const list = (entries: Readonly<Record<string, string>>): string =>
    Object.entries(entries)
      .map(([name, version]) => `${name} ${version}`)
      .join(', ');
  const latencies = Object.entries(addedLatency).map(([group, added]) => `${group} +${added.toFixed(2)} ms`);
  return [
    `- ${date}, a ${kind === 'part' ? 'partial' : kind} run of ${minutes.toFixed(1)} minutes`,
    `- ${machine.cpu}, ${machine.cores} cores, ${(machine.memoryBytes / MIB / 1024).toFixed(1)} GiB, ${machine.system}, Node ${machine.node}`,
    `- load average of the machine ${loadAverage[0].toFixed(2)} before, ${loadAverage[1].toFixed(2)} after (the run itself keeps two cores busy)`,
    `- ${list(versions)}`,
    ...(Object.keys(servers).length > 0 ? [`- ${list(servers)}`] : []),
    ...(latencies.length > 0 ? [`- a round trip to the store through the proxy, beside one without: ${latencies.join(', ')}`] : []),
    ...Object.entries(failed).map(([group, reason]) => `- not measured: ${group} (${reason.split('\n')[0] ?? ''})`),
  ].join('\n');
}

function goalTable(goals: readonly Goal[]): string {
  const state = (met: boolean | undefined): string => (met === undefined ? 'not measured' : met ? 'met' : '**not met**');
  return table(
    ['goal', 'measured', ''],
    goals.map(({ goal, measured, met }) => [goal, measured, state(met)]),
    9,
  );
}

function section({ rows }: Results, group: string): string {
  const own = rows.filter((row) => row.group === group);
  return [`## ${group}`, rateTable(own), timeTable(own)].join('\n\n');
}

/** Requests per second: by hand and ours in numbers, the others as ratios. */
function rateTable(rows: readonly Row[]): string {
  const peers = allPeers(rows);
  const hasNearCache = rows.some(({ rounds }) => NEAR_CACHE in rounds);
  const hasBare = rows.some(({ rounds }) => 'bare' in rounds);
  const head = [
    'work',
    'payload',
    'connections',
    'by hand, 1/s',
    'ours, 1/s',
    'ours / by hand',
    ...(hasBare ? ['ours / bare handler'] : []),
    ...peers.map((peer) => `ours / ${peer}`),
    ...(hasNearCache ? ['near cache / by hand'] : []),
    'errors',
  ];
  return table(
    head,
    rows.map((row) => {
      const below = belowOf(row);
      return [
        ...what(row),
        below === undefined ? '–' : rate(figure(row, below, 'requestsPerSecond')),
        rate(figure(row, OURS, 'requestsPerSecond')),
        below === undefined ? '–' : spreadText(ratio(row, below, 'requestsPerSecond')),
        ...(hasBare ? [spreadText(ratio(row, 'bare', 'requestsPerSecond'))] : []),
        ...peers.map((peer) => spreadText(ratio(row, peer, 'requestsPerSecond'))),
        ...(hasNearCache ? [spreadText(ratio(row, 'interceptor', 'requestsPerSecond', NEAR_CACHE))] : []),
        String((row.rounds[OURS] ?? []).reduce((sum, { errors }) => sum + errors, 0)),
      ];
    }),
    2,
  );
}

/** Milliseconds and processor time: in numbers for ours, as ratios to the peers. */
function timeTable(rows: readonly Row[]): string {
  const peers = allPeers(rows);
  const columns = (['p50', 'p99', 'cpu'] as const).flatMap((name) => {
    const besides = ['by hand', ...peers].map((other) => ({
      head: `${name} / ${other}`,
      cell: (row: Row) => spreadText(ratio(row, other === 'by hand' ? (belowOf(row) ?? '') : other, name)),
    }));
    const digits = name === 'cpu' ? 0 : 2;
    const own = {
      head: `ours, ${name === 'cpu' ? 'CPU µs' : `${name} ms`}`,
      cell: (row: Row) => (figure(row, OURS, name)?.median ?? NaN).toFixed(digits),
    };
    return [own].concat(besides);
  });
  return table(
    ['work', 'payload', 'connections', ...columns.map(({ head }) => head)],
    rows.map((row) => [...what(row), ...columns.map(({ cell }) => cell(row))]),
    2,
  );
}

function trafficTable({ traffic }: Results): string {
  return table(
    ['group', 'contender', 'work', 'commands sent', 'which', 'inside scripts', 'bytes on the wire'],
    traffic.map(({ group, contender, work, commands, byName, inside, wireBytes }) => [
      group,
      contender,
      work,
      short(commands),
      countsText(byName),
      countsText(inside),
      wireBytes.toFixed(0),
    ]),
    9,
  );
}

function storedTable({ stored }: Results): string {
  const contenders = [...new Set(stored.map(({ contender }) => contender))];
  const payloads = [...new Set(stored.map(({ payload }) => payload))];
  return table(
    ['payload', ...contenders.map((name) => `${name}, bytes`)],
    payloads.map((payload) =>
      [payloadName(payload)].concat(
        contenders.map((name) => String(stored.find((found) => found.contender === name && found.payload === payload)?.memory ?? '–')),
      ),
    ),
  );
}

function footprintTable({ footprints }: Results): string {
  return table(
    ['contender', 'sessions', 'process, MiB', 'heap, MiB', 'bytes a session'],
    footprints.map(({ contender, sessions, rssBytes, heapBytes, bytesPerSession }) => [
      contender,
      String(sessions),
      (rssBytes / MIB).toFixed(0),
      (heapBytes / MIB).toFixed(0),
      bytesPerSession.toFixed(0),
    ]),
  );
}

function what({ work, bytes, connections }: Row): string[] {
  return [WORKS[work] ?? work, payloadName(bytes), String(connections)];
}

function allPeers(rows: readonly Row[]): string[] {
  return [...new Set(rows.flatMap(peersOf))];
}

function rate(spread: Spread | undefined): string {
  return spread === undefined ? '–' : Math.round(spread.median).toString();
}

function spreadText(spread: Spread | undefined): string {
  return spread === undefined ? '–' : `${spread.median.toFixed(2)} (${spread.min.toFixed(2)}–${spread.max.toFixed(2)})`;
}

function countsText(counts: Readonly<Record<string, number>>): string {
  const parts = Object.entries(counts).map(([name, count]) => `${short(count)} ${name.toUpperCase()}`);
  return parts.length === 0 ? '–' : parts.join(', ');
}

function short(count: number): string {
  return Number.isInteger(count) ? String(count) : count.toFixed(3);
}
