// What administration costs beside 2,000 and beside 10,000 other sessions (SCALE_SESSIONS=200000 for another number). Started by itself it takes
// the stores to look at: redis postgres mongodb.
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { deepStrictEqual } from 'node:assert';
import { ServerSessionModule, type SessionRecord, SessionRepository, SessionService } from '../../lib/index.js';
import { RecordCodec } from '../../lib/storage/record.codec.js';
import { type CommandCounts, SCALE_STORES, type ScaleStore } from '../admin/support/scale-stores.js';

const SIZES = [2_000, Number(process.env['SCALE_SESSIONS'] ?? 10_000)];
const OWN = 10;
const MANY = 10_000;
const LIFETIME = 3_600_000;

function recordOf(principal: string): SessionRecord {
  const now = Date.now();
  const fields = new Map([
    ['@principal', Buffer.from(JSON.stringify(principal))],
    ['.cart', Buffer.from(JSON.stringify(Array.from({ length: 10 }, (_unused, n) => `article ${n}`)))],
  ]);
  const content = { kind: 'session', createdAt: now, accessedAt: now, cookieAt: now, serializer: 'json', fields } as const;
  return { payload: new RecordCodec().encode('', content), principal };
}

async function timed<T>(operation: () => Promise<T>): Promise<[result: T, milliseconds: number]> {
  const start = performance.now();
  const result = await operation();
  return [result, Math.round(performance.now() - start)];
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function sessionsFor(repository: SessionRepository, principal: string, number: number): Promise<string[]> {
  const handles = Array.from({ length: number }, (_unused, n) => `${principal}-${n}`);
  const record = recordOf(principal);
  for (let start = 0; start < number; start += 20) {
    await Promise.all(handles.slice(start, start + 20).map((handle) => repository.create(handle, record, LIFETIME)));
  }
  return handles;
}

/** The commands of each operation on a user with ten sessions. */
async function costs(
  store: ScaleStore,
  service: SessionService,
  repository: SessionRepository,
  size: number,
): Promise<Record<string, CommandCounts>> {
  const principal = 'ann';
  const handles = await sessionsFor(repository, principal, OWN);
  await service.count({ principal });
  const operations: Record<string, () => Promise<unknown>> = {
    list: () => service.list({ principal }),
    count: () => service.count({ principal }),
    revokeAll: () => service.revokeAll({ principal, except: handles[0] }),
    revoke: () => service.revoke(handles[0]!),
  };
  const spent: Record<string, CommandCounts> = {};
  for (const [name, operation] of Object.entries(operations)) {
    let milliseconds = 0;
    spent[name] = await store.commandsOf(async () => ([, milliseconds] = await timed(operation)));
    print(`  ${name} beside ${size}: ${milliseconds} ms, ${JSON.stringify(spent[name])}`);
  }
  return spent;
}

async function measure(name: string): Promise<void> {
  const start = SCALE_STORES[name];
  if (start === undefined) throw new Error(`'${name}' is none of ${Object.keys(SCALE_STORES).join(', ')}`);
  const store = await start();
  @Module({ imports: [ServerSessionModule.forRoot({ ...store.options, storeTimeout: '2m' })] })
  class Application {}
  const app = await NestFactory.createApplicationContext(Application, { logger: ['error', 'warn'] });
  try {
    const [service, repository] = [app.get(SessionService), app.get(SessionRepository)];
    const results: Record<string, CommandCounts>[] = [];
    let filled = 0;
    print(name);
    // What a server and a connection do only once is done before.
    await sessionsFor(repository, 'first', 2);
    await service.revokeAll({ principal: 'first' });
    for (const size of SIZES) {
      const [, milliseconds] = await timed(() => store.fill(repository, recordOf('other'), filled, size));
      filled = size;
      print(`  filled up to ${size} sessions of ${size / 4} users in ${milliseconds} ms`);
      results.push(await costs(store, service, repository, size));
    }
    deepStrictEqual(results[1], results[0], `${name}: the commands depend on the size of the store`);
    await sessionsFor(repository, 'bob', MANY);
    print(`  how ${name} finds the sessions of a user:\n${await store.explain('user7').catch((error: unknown) => String(error))}`);
    const [all, countTime] = await timed(() => service.count());
    print(`  count of all: ${all} in ${countTime} ms`);
    const [revoked, revokeTime] = await timed(() => service.revokeAll({ principal: 'bob' }));
    print(`  revokeAll of ${revoked} sessions of one user: ${revokeTime} ms`);
    deepStrictEqual([revoked, await service.count({ principal: 'bob' })], [MANY, 0]);
  } finally {
    await app.close();
    await store.stop();
  }
}

const wanted = process.argv.slice(2);
for (const name of wanted.length > 0 ? wanted : Object.keys(SCALE_STORES)) await measure(name);
