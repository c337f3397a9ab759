import { Redis } from 'ioredis';
import mongoose, { type mongo } from 'mongoose';
import { DataSource, type Logger } from 'typeorm';
import type { ServerSessionOptions, SessionRecord, SessionRepository } from '../../../lib/index.js';
import { startMongo, startPostgres, startRedis } from '../../servers/index.js';
import { CommandCounter } from './command-counter.js';

const LIFETIME = 3_600_000;

export type CommandCounts = Record<string, number>;

/** A server whose commands are counted, and that can be filled quickly. */
export interface ScaleStore {
  readonly options: ServerSessionOptions;
  commandsOf(operation: () => Promise<unknown>): Promise<CommandCounts>;
  /** Stores sessions number `from` up to `to`, four for each user. */
  fill(repository: SessionRepository, record: SessionRecord, from: number, to: number): Promise<void>;
  /** How the server finds the sessions of a user, in its own words. */
  explain(principal: string): Promise<string>;
  stop(): Promise<void>;
}

export const userOf = (session: number): string => `user${Math.floor(session / 4)}`;

/** Counts texts by what names them. */
class Tally {
  private counts: CommandCounts = {};
  add(name: string): void {
    this.counts[name] = (this.counts[name] ?? 0) + 1;
  }
  async of(operation: () => Promise<unknown>): Promise<CommandCounts> {
    this.counts = {};
    await operation();
    return { ...this.counts };
  }
}

async function redis(): Promise<ScaleStore> {
  const server = await startRedis();
  const observer = new Redis(server.url);
  const counter = new CommandCounter(observer);
  return {
    options: { type: 'redis', redis: { url: server.url } },
    commandsOf: (operation) => counter.of(operation),
    fill: async (repository, record, from, to) => {
      for (let start = from; start < to; start += 500) {
        const batch = Array.from({ length: Math.min(500, to - start) }, (_unused, n) => start + n);
        await Promise.all(batch.map((n) => repository.create(`other${n}`, { ...record, principal: userOf(n) }, LIFETIME)));
      }
    },
    explain: async () => 'see the commands: one ZRANGE of the user’s set, and no SCAN or KEYS',
    stop: async () => {
      await observer.quit();
      await server.stop();
    },
  };
}

async function postgres(): Promise<ScaleStore> {
  const server = await startPostgres();
  const tally = new Tally();
  const ignore = (): void => undefined;
  const logger: Logger = {
    logQuery: (query) => tally.add(query.trim().split(/\s/, 1)[0] ?? ''),
    logQueryError: ignore,
    logQuerySlow: ignore,
    logSchemaBuild: ignore,
    logMigration: ignore,
    log: ignore,
  };
  const dataSource = await new DataSource({ type: 'postgres', url: server.url, logger, logging: true }).initialize();
  return {
    options: { type: 'typeorm', typeorm: { dataSource } },
    commandsOf: (operation) => tally.of(operation),
    fill: async (_repository, { payload }, from, to) => {
      await dataSource.query(
        `INSERT INTO sessions (id, version, payload, expires_at, principal)
         SELECT 'session:other' || n, 1, $1, (extract(epoch FROM now()) * 1000)::bigint + ${LIFETIME}, 'user' || n / 4
         FROM generate_series($2::int, $3::int) AS n`,
        [Buffer.from(payload), from, to - 1],
      );
      await dataSource.query('ANALYZE sessions');
    },
    explain: async (principal) => {
      const rows = await dataSource.query<{ 'QUERY PLAN': string }[]>(
        `EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT id, version, payload FROM sessions
         WHERE id > 'session:' AND id < 'session:~' AND principal = $1 AND expires_at > 0 ORDER BY id LIMIT 50`,
        [principal],
      );
      return rows.map((row) => row['QUERY PLAN']).join('\n');
    },
    stop: async () => {
      await dataSource.destroy();
      await server.stop();
    },
  };
}

async function mongodb(): Promise<ScaleStore> {
  const server = await startMongo();
  const tally = new Tally();
  const connection = await mongoose.createConnection(server.url, { dbName: 'scale', monitorCommands: true }).asPromise();
  connection.getClient().on('commandStarted', ({ commandName }: mongo.CommandStartedEvent) => tally.add(commandName));
  const sessions = connection.collection<{ _id: string; [field: string]: unknown }>('sessions');
  return {
    options: { type: 'mongodb', mongodb: { connection, db: 'scale' } },
    commandsOf: (operation) => tally.of(operation),
    fill: async (_repository, { payload }, from, to) => {
      const expiresAt = new Date(Date.now() + LIFETIME);
      for (let start = from; start < to; start += 5000) {
        const batch = Array.from({ length: Math.min(5000, to - start) }, (_unused, n) => start + n);
        await sessions.insertMany(
          batch.map((n) => ({ _id: `session:other${n}`, version: 1, payload, principal: userOf(n), expiresAt })),
          { ordered: false },
        );
      }
    },
    explain: async (principal) => {
      const plan = await sessions
        .find({ principal, _id: { $gt: 'session:' } })
        .sort({ _id: 1 })
        .explain('executionStats');
      const { executionStats, queryPlanner } = plan as { executionStats?: object; queryPlanner?: { winningPlan?: object } };
      return JSON.stringify({ winningPlan: queryPlanner?.winningPlan, executionStats }, undefined, 1);
    },
    stop: async () => {
      await connection.close();
      await server.stop();
    },
  };
}

export const SCALE_STORES: Record<string, () => Promise<ScaleStore>> = { redis, postgres, mongodb };
