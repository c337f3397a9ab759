// What the filesystem back end costs beside few and beside many other sessions, in calls of the system and milliseconds, and what a change costs
// beside the least that a safe change of a file needs. SCALE_SESSIONS=100000 for another number; TMPDIR chooses the disk.
import { deepStrictEqual, ok } from 'node:assert';
import { randomBytes } from 'node:crypto';
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileRecord } from '../../lib/repositories/filesystem/file-record.js';
import { files } from '../../lib/repositories/filesystem/files.js';
import { FilesystemSessionRepository } from '../../lib/repositories/filesystem/filesystem-session.repository.js';
import { callsOf } from '../support/file-calls.js';

const SIZES = [500, Number(process.env['SCALE_SESSIONS'] ?? 15_000)];
const LIFETIME = 3_600_000;
const CHANGES = 300;
const payload = Buffer.alloc(300, 'x');

function print(name: string, columns: Record<string, number | string>): void {
  const cells = Object.entries(columns).map(([column, value]) => `${column} ${value}`);
  process.stdout.write(`${name}: ${cells.join(', ')}\n`);
}

const newHandle = (): string => randomBytes(32).toString('base64url');

/** Sessions as version 0.1.0 wrote them, without an index: four for each user. */
function fill(root: string, count: number): void {
  for (let index = 0; index < count; index++) {
    const handle = newHandle();
    const folder = join(root, handle.slice(0, 2), handle);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeFileSync(join(folder, '1'), FileRecord.encode({ payload, principal: `user-${index >> 2}` }));
    utimesSync(join(folder, '1'), new Date(), new Date(Date.now() + LIFETIME + index));
  }
}

async function cost(operation: () => Promise<unknown>): Promise<string> {
  const start = performance.now();
  const calls = await callsOf(operation);
  const sum = Object.values(calls).reduce((total, count) => total + count, 0);
  return `${sum} calls ${(performance.now() - start).toFixed(1)} ms`;
}

/** Microseconds of processor time and of the clock, each of so many times. */
async function each(operation: (index: number) => Promise<unknown>): Promise<string> {
  for (let index = 0; index < 30; index++) await operation(index);
  const before = process.cpuUsage();
  const start = performance.now();
  for (let index = 0; index < CHANGES; index++) await operation(index);
  const { user, system } = process.cpuUsage(before);
  return `${Math.round((user + system) / CHANGES)} µs of processor time, ${Math.round(((performance.now() - start) * 1_000) / CHANGES)} µs`;
}

for (const size of SIZES) {
  const dir = await mkdtemp(join(tmpdir(), 'scale-'));
  const repository = new FilesystemSessionRepository({ dir, threshold: size }, { keyPrefix: 'session:', storeTimeout: 600_000 });
  try {
    fill(join(dir, 'session_3A'), size);
    const principal = 'user-100';
    const name = `${size} sessions`;
    print(`${name} of an older version`, { 'the index is made in': await cost(() => repository.count({ principal })) });
    // The first creation counts the sessions, in the background.
    await repository.create(newHandle(), { payload }, LIFETIME);
    await repository.purgeExpired();
    print(name, {
      'list of a user': await cost(() => repository.list({ principal, limit: 100 })),
      'count of a user': await cost(() => repository.count({ principal })),
      'log-in at the threshold': await cost(() => repository.create(newHandle(), { payload, principal }, LIFETIME)),
      'page of all': await cost(() => repository.list({ limit: 100 })),
      'count of all': await cost(() => repository.count({})),
      purge: await cost(() => repository.purgeExpired()),
    });
    const count = await repository.count({});
    ok(count <= size && count >= size - 2, `${count} sessions at a threshold of ${size}`);
    deepStrictEqual(await repository.count({ principal }), 5);
  } finally {
    repository.onApplicationShutdown();
    await rm(dir, { recursive: true, force: true });
  }
}

const dir = await mkdtemp(join(tmpdir(), 'scale-'));
try {
  const repository = new FilesystemSessionRepository({ dir, threshold: 0 }, { keyPrefix: 'session:' });
  await repository.create('session', { payload }, LIFETIME);
  const least = await each(async (index) => {
    const file = await files.open(join(dir, `draft${index}`), 'wx', 0o600);
    await files.write(file, payload, 0);
    await files.flush(file);
    files.close(file);
    await files.rename(join(dir, `draft${index}`), join(dir, 'file'));
  });
  const read = await each(() => repository.read('session'));
  const change = await each(async () => {
    const { version = '' } = (await repository.read('session')) ?? {};
    deepStrictEqual((await repository.update('session', { payload }, version, LIFETIME)).status, 'updated');
  });
  print('one session', { read, change, 'temporary file, fdatasync and rename alone': least });
} finally {
  await rm(dir, { recursive: true, force: true });
}
