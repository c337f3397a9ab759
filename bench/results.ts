import type { Machine } from './environment.js';
import type { Footprint } from './footprint.js';
import type { Row, Round } from './measure-group.js';
import { ratioOf, type Spread, spreadOf } from './statistics.js';
import type { StoredBytes, Traffic } from './store-traffic.js';

/** All that a run has found out: what `results.json` holds. */
export interface Results {
  readonly date: string;
  readonly kind: 'full' | 'quick' | 'part';
  readonly minutes: number;
  readonly machine: Machine;
  /** Before and after, over one minute. */
  readonly loadAverage: readonly [number, number];
  readonly versions: Readonly<Record<string, string>>;
  readonly servers: Readonly<Record<string, string>>;
  /** Milliseconds that the proxy added to a round trip to the store, as measured: by the name of the group. */
  readonly addedLatency: Readonly<Record<string, number>>;
  readonly rows: readonly Row[];
  readonly traffic: readonly (Traffic & { readonly group: string })[];
  readonly stored: readonly StoredBytes[];
  readonly footprints: readonly Footprint[];
  /** Parts that could not be measured, and why. */
  readonly failed: Readonly<Record<string, string>>;
}

export const OURS = 'server-session';
export const NEAR_CACHE = 'near-cache';
/** What ours is measured against first: an application without sessions, or one interceptor that its team has written; and bare handlers. */
export const BELOW: readonly string[] = ['none', 'interceptor', 'bare'];

export type Figure = keyof Round;

/** A figure of a contender over its rounds; undefined where it did not take part. */
export function figure(row: Row, contender: string, name: Figure): Spread | undefined {
  const rounds = row.rounds[contender];
  return rounds && spreadOf(rounds.map((round) => round[name]));
}

/** Ours, or that of one of ours, divided by another's, round by round. */
export function ratio(row: Row, other: string, name: Figure, own = OURS): Spread | undefined {
  const ours = row.rounds[own];
  const theirs = row.rounds[other];
  return (
    ours &&
    theirs &&
    ratioOf(
      ours.map((round) => round[name]),
      theirs.map((round) => round[name]),
    )
  );
}

/** What people use instead. */
export function peersOf(row: Row): string[] {
  return Object.keys(row.rounds).filter((name) => ![OURS, NEAR_CACHE, ...BELOW].includes(name));
}

/** What stands below a row: an application without sessions where none is used, else the hand-written interceptor. */
export function belowOf({ rounds }: Row): string | undefined {
  return ['none', 'interceptor'].find((name) => name in rounds);
}

export function nameOf({ group, work, bytes, connections }: Row): string {
  return `${group}, ${work}, ${payloadName(bytes)}, ${connections} connection${connections === 1 ? '' : 's'}`;
}

export function payloadName(bytes: number): string {
  return bytes < 1024 ? `${bytes} B` : `${bytes / 1024} KiB`;
}
