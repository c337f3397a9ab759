// What the memory back end costs: bytes a session beside express-session's MemoryStore, and how long one operation keeps the event loop, beside
// few and beside many sessions. SCALE_SESSIONS=500000 for another number.
import session from 'express-session';
import { deepStrictEqual } from 'node:assert';
import { randomBytes } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { MemorySessionRepository } from '../../lib/repositories/memory/memory-session.repository.js';
import { RecordCodec } from '../../lib/storage/record.codec.js';

const SESSIONS = Number(process.env['SCALE_SESSIONS'] ?? 100_000);
const DATA = 'x'.repeat(200);
const LIFETIME = 3_600_000;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function print(name: string, columns: Record<string, number | string>): void {
  const cells = Object.entries(columns).map(([column, value]) => `${column} ${value}`);
  process.stdout.write(`${name}: ${cells.join(', ')}\n`);
}

function bytesInUse(): number {
  for (let count = 0; count < 3; count++) collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function payloadOf(principal: string | undefined): Uint8Array {
  const now = Date.now();
  const fields = new Map([['.data', Buffer.from(JSON.stringify(DATA))]]);
  if (principal !== undefined) fields.set('@principal', Buffer.from(JSON.stringify(principal)));
  return new RecordCodec().encode('', { kind: 'session', createdAt: now, accessedAt: now, cookieAt: now, serializer: 'json', fields });
}

async function filled(count: number, principalOf: (index: number) => string | undefined): Promise<MemorySessionRepository> {
  const repository = new MemorySessionRepository({ maxEntries: count + 1_000, maxBytes: 1e10 });
  for (let index = 0; index < count; index++) {
    const principal = principalOf(index);
    await repository.create(randomBytes(32).toString('base64url'), { payload: payloadOf(principal), principal }, LIFETIME);
  }
  return repository;
}

/** Bytes for each of so many sessions. What `fill` returns holds them. */
async function bytesEach(fill: () => unknown): Promise<number> {
  const before = bytesInUse();
  const held = await fill();
  const each = Math.round((bytesInUse() - before) / SESSIONS);
  deepStrictEqual(typeof held, 'object');
  return each;
}

function memoryStore(principalOf: (index: number) => string | undefined): session.MemoryStore {
  const store = new session.MemoryStore();
  for (let index = 0; index < SESSIONS; index++) {
    const cookie = { originalMaxAge: LIFETIME, expires: new Date(Date.now() + LIFETIME), httpOnly: true, path: '/' };
    store.set(randomBytes(24).toString('base64url'), {
      cookie,
      principal: principalOf(index),
      data: DATA,
    } as unknown as session.SessionData);
  }
  return store;
}

/** The longest that the event loop stood still meanwhile, in milliseconds; the best of some runs. */
async function standstill(operation: () => Promise<unknown>, runs = 5): Promise<number> {
  let best = Infinity;
  for (let run = 0; run < runs; run++) {
    let longest = 0;
    let last = performance.now();
    let isDone = false;
    const watch = (): void => {
      const now = performance.now();
      longest = Math.max(longest, now - last);
      last = now;
      if (!isDone) setImmediate(watch);
    };
    setImmediate(watch);
    await operation();
    isDone = true;
    await new Promise((resolve) => setImmediate(resolve));
    best = Math.min(best, longest);
  }
  return Number(best.toFixed(2));
}

for (const [name, principalOf] of [
  ['anonymous', () => undefined],
  ['four of each user', (index: number) => `user-${index >> 2}`],
] as const) {
  const own = await bytesEach(() => filled(SESSIONS, principalOf));
  // Its calls of callbacks are over, too.
  const peer = await bytesEach(() => new Promise((resolve) => setTimeout(resolve, 500, memoryStore(principalOf))));
  print(`bytes a session of 200 bytes, ${name}`, { own, 'MemoryStore of express-session': peer, ratio: (own / peer).toFixed(2) });
}

for (const count of [1_000, SESSIONS]) {
  const repository = await filled(count, (index) => `user-${index >> 2}`);
  const principal = 'user-100';
  print(`milliseconds that the event loop stands still, ${count} sessions`, {
    'count of a user': await standstill(() => repository.count({ principal })),
    'list of a user': await standstill(() => repository.list({ principal, limit: 100 })),
    'page of all': await standstill(() => repository.list({ limit: 100 })),
    'count of all': await standstill(() => repository.count({})),
    create: await standstill(() =>
      repository.create(randomBytes(32).toString('base64url'), { payload: payloadOf(principal), principal }, LIFETIME),
    ),
    'purge of nothing': await standstill(() => repository.purgeExpired()),
  });
}

const expiring = new MemorySessionRepository({ maxEntries: SESSIONS, maxBytes: 1e10 });
const payload = payloadOf(undefined);
for (let index = 0; index < SESSIONS; index++) await expiring.create(randomBytes(32).toString('base64url'), { payload }, LIFETIME);
for (const { handle } of (await expiring.list({ limit: SESSIONS })).records) await expiring.read(handle, 0.001);
let purged = 0;
const purge = await standstill(async () => (purged += await expiring.purgeExpired()), 1);
print(`milliseconds that the event loop stands still while ${purged} expired sessions are purged`, { purge });
deepStrictEqual([purged, await expiring.count({})], [SESSIONS, 0]);
