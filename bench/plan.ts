import type { Adapter, Store } from './contenders/contender.js';

export type Work = 'unused' | 'read' | 'reread' | 'change' | 'mix' | 'hot';

/** One row of the report: what every contender of its group is asked to do. */
export interface Scenario {
  readonly work: Work;
  /** Of JSON in each session, about. */
  readonly bytes: number;
  readonly connections: number;
}

/** Scenarios that share their contenders, which run from the first to the last. */
export interface Group {
  readonly name: string;
  readonly adapter: Adapter;
  readonly store: Store;
  /** Added to each direction between contender and store, in milliseconds. */
  readonly delay: number;
  readonly scenarios: readonly Scenario[];
  /** At the most, where the store takes long to make them. */
  readonly sessions: number;
}

/** How long and how often. */
export interface Pace {
  readonly rounds: number;
  readonly roundSeconds: number;
  readonly warmUpSeconds: number;
  /** Of 200 bytes each, for everything but the larger payloads. */
  readonly sessions: number;
  /** Held in memory to weigh a process; 0 leaves it out. */
  readonly weighedSessions: number;
}

export const FULL: Pace = { rounds: 5, roundSeconds: 0.7, warmUpSeconds: 0.6, sessions: 5_000, weighedSessions: 100_000 };
export const QUICK: Pace = { rounds: 3, roundSeconds: 0.6, warmUpSeconds: 0.3, sessions: 2_000, weighedSessions: 0 };

/** Name of the part that weighs processes that hold many sessions. */
export const FOOTPRINT = 'memory-footprint';

const SMALL = 200;
/** A number and an empty list. */
const TINY = 2;
const LARGER = [4 * 1024, 32 * 1024];

const at = (work: Work, connections: number[], bytes = SMALL): Scenario[] =>
  connections.map((count) => ({ work, bytes, connections: count }));
const larger = (work: Work): Scenario[] => LARGER.flatMap((bytes) => at(work, [32], bytes));

/**
 * Not the full product of works, payloads and connections, which would take hours: the payload varies at 32 connections, the
 * connections at 200 bytes, and what differs between the adapters is little enough to measure less on Fastify.
 */
export function fullPlan(): Group[] {
  return [
    group('redis-express', 'express', 'redis', [
      ...at('unused', [1, 32, 256]),
      ...at('read', [1, 32, 256]),
      ...larger('read'),
      ...at('reread', [32]),
      ...at('change', [1, 32, 256]),
      ...larger('change'),
      ...at('mix', [32]),
      ...at('hot', [32, 256]),
    ]),
    group('redis-fastify', 'fastify', 'redis', [
      ...at('unused', [32]),
      ...at('read', [1, 32, 256]),
      ...larger('read'),
      ...at('reread', [32]),
      ...at('change', [1, 32, 256]),
      ...larger('change'),
      ...at('mix', [32]),
      ...at('hot', [32, 256]),
    ]),
    group('redis-express-1ms', 'express', 'redis', [...at('read', [1, 32]), ...at('change', [1, 32]), ...at('mix', [32])], 1),
    group('redis-fastify-1ms', 'fastify', 'redis', [...at('read', [1, 32]), ...at('change', [1, 32]), ...at('mix', [32])], 1),
    group('memory-express', 'express', 'memory', [...at('read', [32]), ...at('change', [32]), ...at('change', [32], TINY)], 0, 500),
    ...(['filesystem', 'postgres', 'mongodb'] as const).map((store) =>
      group(`${store}-express`, 'express', store, [...at('read', [32]), ...at('change', [32])], 0, 500),
    ),
  ];
}

export function quickPlan(): Group[] {
  return [
    group('redis-express', 'express', 'redis', [
      ...at('unused', [32]),
      ...at('read', [32]),
      ...at('reread', [32]),
      ...at('change', [32]),
      ...at('mix', [32]),
      ...at('hot', [32, 256]),
    ]),
    group('redis-fastify', 'fastify', 'redis', [...at('unused', [32]), ...at('read', [32]), ...at('change', [32])]),
    group('redis-express-1ms', 'express', 'redis', at('read', [1, 32]), 1),
  ];
}

function group(name: string, adapter: Adapter, store: Store, scenarios: Scenario[], delay = 0, sessions = Infinity): Group {
  return { name, adapter, store, delay, scenarios, sessions };
}

/** Who takes part in a scenario. Where no session is used there is nothing below an application without any. */
export function contendersOf({ adapter, store, delay }: Group, { work, bytes, connections }: Scenario): string[] {
  const peers = adapter === 'express' ? ['express-session'] : ['fastify-session', 'mgcrea'];
  if (store !== 'redis') return ['server-session', ...peers];
  if (work === 'unused') return ['none', 'server-session', ...peers];
  const hasNearCache = work !== 'hot' && connections === 32 && bytes === SMALL;
  const hasBare = connections === 32 && bytes === SMALL && delay === 0;
  return [...(hasBare ? ['bare'] : []), 'interceptor', 'server-session', ...(hasNearCache ? ['near-cache'] : []), ...peers];
}
