import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createRequire } from 'node:module';
import type { DataSource } from 'typeorm';
import type { TypeormSessionRepository } from '../../lib/repositories/typeorm/typeorm-session.repository.js';
import { openRepository, sqlite } from './typeorm-bench.js';

/** What is used of better-sqlite3, which has no types of its own. */
interface Connection {
  readonly inTransaction: boolean;
  exec(text: string): void;
  pragma(text: string, options?: { simple: true }): unknown;
  close(): void;
}
const Database = createRequire(import.meta.url)('better-sqlite3') as new (path: string) => Connection;

const LONG = 600_000;
const record = (text: string) => ({ payload: Buffer.from(text) });

describe.each(['the DataSource of the application', 'a DataSource of its own'])('a SQLite file that is locked, through %s', (whose) => {
  const database = sqlite();
  const isShared = whose.includes('application');
  let app: DataSource;
  let repository: TypeormSessionRepository;
  let other: Connection;

  beforeEach(async () => {
    await database.start();
    app = await database.connect();
    repository = await openRepository(isShared ? { dataSource: app } : { url: database.url }, { storeTimeout: '1s' });
    other = new Database(database.url.replace('sqlite:///', ''));
  });
  afterEach(async () => {
    if (other.inTransaction) other.exec('ROLLBACK');
    other.close();
    await repository.onApplicationShutdown();
    await app.destroy();
    await database.stop();
  });

  /** How often the process had a turn meanwhile. Standing still, it has none. */
  async function turnsDuring(work: Promise<unknown>): Promise<number> {
    let turns = 0;
    const timer = setInterval(() => turns++, 5);
    await work.catch(() => undefined);
    clearInterval(timer);
    return turns;
  }

  it('does not stop the process, and is in time for the change when it is unlocked', async () => {
    other.exec('BEGIN IMMEDIATE');
    const created = repository.create('a', record('1'), LONG);
    setTimeout(() => other.exec('COMMIT'), 300);
    expect(await turnsDuring(created)).toBeGreaterThan(3);
    expect(await created).toBe('1');
  });

  it('does not stop the process, and is an error after storeTimeout', async () => {
    other.exec('BEGIN IMMEDIATE');
    const created = repository.create('a', record('1'), LONG);
    expect(await turnsDuring(created)).toBeGreaterThan(3);
    await expect(created).rejects.toThrow('SQLite did not answer within 1000 ms');
    other.exec('ROLLBACK');
    expect(await repository.read('a')).toBeUndefined();
    expect(await repository.create('a', record('1'), LONG)).toBe('1');
  });

  it('leaves the time that the application has set for its own statements as it was', async () => {
    const runner = app.createQueryRunner();
    const connection = (await runner.connect()) as Connection;
    const before = connection.pragma('busy_timeout', { simple: true });
    await repository.create('a', record('1'), LONG);
    other.exec('BEGIN IMMEDIATE');
    await repository.create('b', record('1'), LONG).catch(() => undefined);
    expect(connection.pragma('busy_timeout', { simple: true })).toBe(before);
  });

  it('is a file in which a session can be ended although there is no room left', async () => {
    await repository.create('a', record('x'.repeat(3000)), LONG);
    await repository.create('b', record('x'.repeat(3000)), LONG);
    const runner = (isShared ? app : ownDataSource(repository)).createQueryRunner();
    const connection = (await runner.connect()) as Connection;
    connection.pragma(`max_page_count = ${Number(connection.pragma('page_count', { simple: true }))}`);
    await expect(repository.create('c', record('x'.repeat(60_000)), LONG)).rejects.toThrow('full');
    await expect(repository.update('a', record('x'.repeat(60_000)), '1', LONG)).rejects.toThrow('full');
    expect(await repository.delete('a', '1')).toBe(true);
    expect(await repository.delete('b')).toBe(true);
    expect(await repository.read('a')).toBeUndefined();
  });
});

function ownDataSource(repository: TypeormSessionRepository): DataSource {
  return (repository as unknown as { database: { connection: { holder: { dataSource: DataSource } } } }).database.connection.holder
    .dataSource;
}
