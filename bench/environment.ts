import { readFile } from 'node:fs/promises';
import { cpus, loadavg, platform, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { BENCH } from './paths.js';

/** Everything whose version decides what is measured. */
const PACKAGES = [
  'nestjs-server-session',
  '@nestjs/core',
  'express',
  'fastify',
  'ioredis',
  'express-session',
  'connect-redis',
  'redis',
  '@fastify/session',
  '@mgcrea/fastify-session',
  '@mgcrea/fastify-session-redis-store',
  '@mgcrea/fastify-session-sodium-crypto',
  'session-file-store',
  'connect-pg-simple',
  'connect-mongo',
  'autocannon',
];

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly system: string;
  readonly node: string;
}

export function machine(): Machine {
  const cores = cpus();
  return {
    cpu: cores[0]?.model.trim() ?? 'unknown',
    cores: cores.length,
    memoryBytes: totalmem(),
    system: `${platform()} ${release()}`,
    node: process.version,
  };
}

/** Processes that wanted to run during the last minute; beside the number of cores it tells how quiet the machine was. */
export function loadAverage(): number {
  return loadavg()[0] ?? NaN;
}

export async function versions(): Promise<Record<string, string>> {
  const entries = await Promise.all(PACKAGES.map(async (name) => [name, await versionOf(name)] as const));
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => entry[1] !== undefined));
}

/** Read as files, because many packages do not export their manifest. The nearest folder wins, as it does for Node. */
async function versionOf(name: string): Promise<string | undefined> {
  for (const folder of [BENCH, join(BENCH, '..'), join(BENCH, '../node_modules/@nestjs/platform-express')]) {
    const text = await readFile(join(folder, 'node_modules', name, 'package.json'), 'utf8').catch(() => undefined);
    if (text !== undefined) return (JSON.parse(text) as { version: string }).version;
  }
  return undefined;
}
