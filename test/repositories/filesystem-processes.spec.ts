import { afterAll, afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { execFileSync, type ForkOptions } from 'node:child_process';
import { chmod, type FileHandle, mkdtemp, open, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FilesystemSessionRepository } from '../../lib/repositories/filesystem/filesystem-session.repository.js';
import type { FilesystemTask } from '../support/filesystem-task.js';
import { mountTinyDisk } from '../support/tiny-disk.js';
import { TYPESCRIPT_ARGS, TypescriptChild } from '../support/typescript-child.js';

const LONG = 600_000;
const PATIENCE = 120_000;
/** Fifty processes, which take their time to start on a busy machine. */
const MORE_PATIENCE = 400_000;
const NOBODY = 65_534;

describe('The filesystem back end in several processes', () => {
  let dir: string;
  let repository: FilesystemSessionRepository;
  let children: TypescriptChild[];

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'sessions-'));
    repository = new FilesystemSessionRepository({ dir, threshold: 0 }, { keyPrefix: 'session:' });
    children = [];
  });
  afterEach(async () => {
    await Promise.all(children.map((child) => child.kill()));
    await rm(dir, { recursive: true, force: true });
  });

  const start = (task: FilesystemTask, options?: ForkOptions): TypescriptChild => {
    const child = new TypescriptChild('filesystem-child.ts', task, options);
    children.push(child);
    return child;
  };
  const create = (handle: string, text: string): Promise<string | undefined> =>
    repository.create(handle, { payload: Buffer.from(text) }, LONG);
  const textOf = async (handle: string): Promise<string | undefined> => {
    const found = await repository.read(handle);
    return found && Buffer.from(found.payload).toString();
  };
  /** All that is stored, by its folders: what cannot be read is not left out. */
  const storedHandles = async (): Promise<string[]> => {
    const root = join(dir, 'session_3A');
    const shards = (await readdir(root)).filter((name) => name.length === 2);
    return (await Promise.all(shards.map((shard) => readdir(join(root, shard))))).flat();
  };

  it(
    'loses no increment of one session to another process',
    async () => {
      await create('shared', '0');
      const tasks = Array.from({ length: 4 }, () => start({ do: 'increment', dir, handle: 'shared', times: 150 }));
      await Promise.all(tasks.map((child) => child.ended()));
      expect(await textOf('shared')).toBe('600');
    },
    PATIENCE,
  );

  it(
    'survives 50 times kill -9 of a writing process: every record is complete, nothing acknowledged is lost, nobody is blocked',
    async () => {
      const shared = ['shared1', 'shared2', 'shared3'];
      for (const handle of shared) await create(handle, `0 ${'x'.repeat(20_000)} 0`);
      const acknowledged = new Map<string, number>();
      for (let round = 0; round < 10; round++) {
        const writers = Array.from({ length: 5 }, (_unused, index) =>
          start({ do: 'write-until-killed', dir, handles: shared, name: `round${round}-${index}` }),
        );
        await Promise.all(writers.map((writer, index) => writer.until(5 + 4 * index).then(() => writer.kill())));
        for (const [handle, n] of writers.flatMap(({ messages }) => messages as [string, number][]))
          acknowledged.set(handle, Math.max(n, acknowledged.get(handle) ?? 0));
        for (const handle of shared) {
          const found = await repository.read(handle);
          expect(
            await repository.update(handle, { payload: found?.payload ?? Buffer.alloc(0) }, found?.version ?? '', LONG),
          ).toHaveProperty('status', 'updated');
        }
      }
      const stored = await storedHandles();
      for (const handle of stored) expect(await textOf(handle)).toMatch(/^(\d+) x{20000} \1$/);
      expect(stored).toEqual(expect.arrayContaining([...acknowledged.keys()]));
      for (const [handle, n] of acknowledged) expect(Number.parseInt((await textOf(handle)) ?? '', 10)).toBeGreaterThanOrEqual(n);
      expect(acknowledged.size).toBeGreaterThan(100);
    },
    MORE_PATIENCE,
  );

  it(
    'keeps about as many sessions as the threshold says, whichever process makes them',
    async () => {
      const tasks = ['a', 'b'].map((name) => start({ do: 'create', dir, name, times: 150, threshold: 60 }));
      await Promise.all(tasks.map((child) => child.ended()));
      const stored = await storedHandles();
      expect(stored.length).toBeGreaterThan(40);
      expect(stored.length).toBeLessThan(80);
      // The last one of the process that ended last is the youngest of all.
      expect(stored.some((handle) => handle.endsWith('-149'))).toBe(true);
    },
    PATIENCE,
  );

  describe('without the rights', () => {
    const attempt = async (): Promise<unknown> => {
      const child = start({ do: 'try', dir, handle: 'handle', bytes: 10, uid: NOBODY });
      await child.ended();
      return child.messages[0];
    };

    it('to enter its folder rejects everything: sessions are not absent', async () => {
      await create('handle', 'text');
      await chmod(join(dir, 'session_3A'), 0);
      expect(await attempt()).toEqual({ read: 'EACCES', create: 'EACCES', update: 'EACCES', delete: 'EACCES', count: 'EACCES' });
      await chmod(join(dir, 'session_3A'), 0o700);
      expect(await textOf('handle')).toBe('text');
    });

    it('to read a file rejects its reading, and to write rejects every change', async () => {
      await create('handle', 'text');
      execFileSync('chmod', ['-R', 'a=rX', dir]);
      await chmod(join(dir, 'session_3A', 'ha', 'handle', '1'), 0);
      expect(await attempt()).toMatchObject({ read: 'EACCES', create: 'EACCES', update: 'EACCES', delete: 'EACCES' });
      execFileSync('chmod', ['-R', 'u+rwX', dir]);
      expect(await textOf('handle')).toBe('text');
    });

    it('to write still reads', async () => {
      await create('handle', 'text');
      execFileSync('chmod', ['-R', 'a=rX', dir]);
      expect(await attempt()).toEqual({ read: 'done', create: 'EACCES', update: 'EACCES', delete: 'EACCES', count: 'done' });
      execFileSync('chmod', ['-R', 'u+rwX', dir]);
    });
  });

  describe('where there is no room', () => {
    it('for a file, rejects and keeps the record before', async () => {
      await create('handle', 'text');
      // 20 KiB a file; the signal that says so is ignored, as most servers do.
      const script = 'ulimit -f 40; trap "" XFSZ; exec "$0" "$@"';
      const child = start(
        { do: 'try', dir, handle: 'handle', bytes: 60_000 },
        { execPath: '/bin/sh', execArgv: ['-c', script, process.execPath, ...TYPESCRIPT_ARGS] },
      );
      await child.ended();
      expect(child.messages[0]).toEqual({ read: 'done', create: 'EFBIG', update: 'EFBIG', count: 'done' });
      expect([await textOf('handle'), await storedHandles(), await drafts(dir)]).toEqual(['text', ['handle'], []]);
    });

    const disk = mountTinyDisk();
    afterAll(() => disk?.unmount());
    if (disk !== undefined)
      it('on the disk, rejects, keeps the record before, and goes on when there is room again', async () => {
        const full = new FilesystemSessionRepository({ dir: disk.path, threshold: 0 }, { keyPrefix: 'session:' });
        const version = (await full.create('handle', { payload: Buffer.from('text') }, LONG)) ?? '';
        const large = { payload: Buffer.alloc(60_000, 'y') };
        let last = 0;
        await expect(
          (async () => {
            for (; ; last++) await full.create(`filler${last}`, large, LONG);
          })(),
        ).rejects.toHaveProperty('code', 'ENOSPC');
        await expect(full.update('handle', large, version, LONG)).rejects.toHaveProperty('code', 'ENOSPC');
        expect(Buffer.from((await full.read('handle'))?.payload ?? []).toString()).toBe('text');
        expect([await full.read(`filler${last}`), await drafts(disk.path)]).toEqual([undefined, []]);
        expect(await full.delete('filler0')).toBe(true);
        expect(await full.update('handle', large, version, LONG)).toHaveProperty('status', 'updated');
      });

    const crowded = mountTinyDisk();
    afterAll(() => crowded?.unmount());
    if (crowded !== undefined)
      it('sessions can be listed and ended, also against their version, and their user has none left', async () => {
        const full = new FilesystemSessionRepository({ dir: crowded.path, threshold: 0 }, { keyPrefix: 'session:' });
        await full.onModuleInit();
        const record = { payload: Buffer.alloc(1_000, 'y'), principal: 'ann' };
        await expect(
          (async () => {
            for (let index = 0; ; index++) await full.create(`session${index}`, record, LONG);
          })(),
        ).rejects.toHaveProperty('code', 'ENOSPC');
        const { records } = await full.list({ principal: 'ann', limit: 1_000 });
        expect(records.length).toBeGreaterThan(10);
        // Each page that a deletion frees is taken at once.
        const ballast = await open(join(crowded.path, 'ballast'), 'a');
        for (const [index, { handle, version }] of records.entries()) {
          await fill(ballast);
          expect(await full.delete(handle, index % 2 === 0 ? version : undefined)).toBe(true);
        }
        await ballast.close();
        expect([await full.count({}), await full.count({ principal: 'ann' })]).toEqual([0, 0]);
      });
  });
});

/** Writes until there is no room left. */
async function fill(file: FileHandle): Promise<void> {
  const page = Buffer.alloc(4_096);
  for (;;) {
    try {
      await file.write(page);
    } catch (error) {
      expect(error).toHaveProperty('code', 'ENOSPC');
      return;
    }
  }
}

/** What has no name yet, or none any more. */
function drafts(dir: string): Promise<string[]> {
  return readdir(join(dir, 'session_3A', 'tmp'));
}
