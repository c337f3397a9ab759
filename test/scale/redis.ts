// What the index of principals on Redis costs as log-ins come and go.
import { deepStrictEqual, ok } from 'node:assert';
import { Redis } from 'ioredis';
import { CommandCounter } from '../admin/support/command-counter.js';
import { resolveOptions } from '../../lib/options/resolve-options.js';
import { RedisSessionRepository } from '../../lib/repositories/redis/redis-session.repository.js';
import { startRedis } from '../servers/index.js';

const LOGINS = 5_000;
const DEAD = 50_000;
const PAGE = 50;
const LIFETIME = 31 * 86_400_000;
const STORE_TIMEOUT = 2_000;
const record = { payload: Buffer.from('x'.repeat(200)), principal: 'ann' };

const print = (line: string): void => void process.stdout.write(`${line}\n`);

async function timed<T>(operation: () => Promise<T>): Promise<[result: T, milliseconds: number]> {
  const start = performance.now();
  return [await operation(), Math.round(performance.now() - start)];
}

const server = await startRedis();
const redis = new Redis(server.url);
const commands = new CommandCounter(redis);
const open = (keyPrefix: string): Promise<RedisSessionRepository> =>
  RedisSessionRepository.create(
    resolveOptions({ type: 'redis', redis: { url: server.url }, keyPrefix, storeTimeout: `${STORE_TIMEOUT}ms` }),
  );
const sizeOf = async (prefix: string): Promise<number> => {
  const keys = await redis.keys(`${prefix}principal:*`);
  return (await Promise.all(keys.map((key) => redis.zcard(key)))).reduce((sum, size) => sum + size, 0);
};

print('redis');
const logins = await open('login:');
const [, time] = await timed(async () => {
  for (let n = 0; n < LOGINS; n += 50) {
    const handles = Array.from({ length: 50 }, (_unused, i) => `h${n + i}`);
    await Promise.all(handles.map((handle) => logins.create(handle, record, LIFETIME)));
    await Promise.all(handles.map((handle) => logins.delete(handle, '1')));
  }
});
print(`  ${LOGINS} log-ins and log-outs: ${time} ms; entries left in the index: ${await sizeOf('login:')}`);
deepStrictEqual(await sizeOf('login:'), 0);

// As crashes and evictions leave them behind.
const dead = await open('dead:');
await dead.create('first', record, LIFETIME);
const [key] = await redis.keys('dead:principal:*');
const score = Number(await redis.zscore(key!, 'first'));
for (let n = 0; n < DEAD; n += 1_000) {
  await redis.zadd(key!, ...Array.from({ length: 1_000 }, (_unused, i) => [score - DEAD + n + i, `gone${n + i}`]).flat());
}
let longest = 0;
let pages = 0;
let cursor: string | undefined;
const found: string[] = [];
do {
  const [page, milliseconds] = await timed(() => dead.list({ principal: 'ann', cursor, limit: PAGE }));
  longest = Math.max(longest, milliseconds);
  pages++;
  found.push(...page.records.map(({ handle }) => handle));
  cursor = page.cursor;
} while (cursor !== undefined);
print(`  a list past ${DEAD} dead entries: ${pages} pages, the longest ${longest} ms; entries left: ${await sizeOf('dead:')}`);
deepStrictEqual([found, await sizeOf('dead:')], [['first'], 1]);
ok(longest < STORE_TIMEOUT, 'a page takes longer than storeTimeout');

const many = await open('many:');
const spent: unknown[] = [];
for (const size of [1_000, 10_000]) {
  for (let n = size === 1_000 ? 0 : 1_000; n < size; n += 100) {
    await Promise.all(Array.from({ length: 100 }, (_unused, i) => many.create(`m${n + i}`, record, LIFETIME)));
  }
  const first = await many.list({ principal: 'ann', limit: PAGE });
  deepStrictEqual(first.records.length, PAGE);
  const page = (): Promise<unknown> => many.list({ principal: 'ann', cursor: first.cursor, limit: PAGE });
  spent.push(await commands.of(page));
  const before = Number(/total_net_output_bytes:(\d+)/.exec(await redis.info('stats'))?.[1]);
  const [, milliseconds] = await timed(page);
  const bytes = Number(/total_net_output_bytes:(\d+)/.exec(await redis.info('stats'))?.[1]) - before;
  print(`  the second page of ${PAGE} of a user with ${size} sessions: ${milliseconds} ms, about ${Math.round(bytes / 1000)} kB`);
}
print(`  its commands: ${JSON.stringify(spent[1])}`);
deepStrictEqual(spent[1], spent[0]);

for (const repository of [logins, dead, many]) await repository.onApplicationShutdown();
redis.disconnect();
await server.stop();
