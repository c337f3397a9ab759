import type { Work } from '../plan.js';

/** What the load generator is asked to do. It keeps the cookies of the sessions it has made, by the name of their pool. */
export type LoadJob = FillJob | CheckJob | ShootJob;

/** Begins sessions. */
export interface FillJob {
  readonly job: 'fill';
  readonly port: number;
  readonly pool: string;
  readonly sessions: number;
  readonly bytes: number;
}

/** Sees to it that a contender does what is measured: what is changed is read again. */
export interface CheckJob {
  readonly job: 'check';
  readonly port: number;
  readonly pool: string;
}

/** Sends as many requests as get answered. */
export interface ShootJob {
  readonly job: 'shoot';
  readonly port: number;
  readonly pool: string;
  readonly work: Work;
  readonly connections: number;
  /** For so long, or until so many were answered. */
  readonly until: { readonly seconds: number } | { readonly requests: number };
}

/** What came of a job; only shooting has something to tell. */
export interface LoadResult {
  readonly requests: number;
  readonly requestsPerSecond: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  /** Requests without an answer, and answers other than 200. */
  readonly errors: number;
}

export const NOTHING: LoadResult = { requests: 0, requestsPerSecond: 0, p50: 0, p99: 0, errors: 0 };
