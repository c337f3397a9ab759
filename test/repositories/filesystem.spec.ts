import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { describeSessionRepository } from 'nestjs-server-session/testing';
import { execFileSync } from 'node:child_process';
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { inspect } from 'node:util';
import { UnreadableRecordError } from '../../lib/errors.js';
import { files } from '../../lib/repositories/filesystem/files.js';
import { FilesystemSessionRepository } from '../../lib/repositories/filesystem/filesystem-session.repository.js';
import { eventually } from '../support/eventually.js';
import { callCountOf, callsOf } from '../support/file-calls.js';

const LONG = 600_000;
let dir: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sessions-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

describeSessionRepository('filesystem', () => new FilesystemSessionRepository({ dir, threshold: 0 }, { keyPrefix: 'session:' }));

describe('filesystem', () => {
  let home: string;
  let root: string;
  let repository: FilesystemSessionRepository;

  beforeEach(async () => {
    home = await mkdtemp(join(dir, 'home-'));
    root = join(home, 'session_3A');
    repository = new FilesystemSessionRepository({ dir: home }, { keyPrefix: 'session:' });
    await repository.onModuleInit();
  });
  afterEach(() => void jest.restoreAllMocks());

  const fileOf = (handle: string, version = '1'): string => join(root, handle.slice(0, 2), handle, version);
  const create = (handle: string, text = 'text', ttl = LONG): Promise<string | undefined> =>
    repository.create(handle, { payload: Buffer.from(text) }, ttl);
  const textOf = async (handle: string): Promise<string> => Buffer.from((await repository.read(handle))?.payload ?? []).toString();
  const versionsOf = async (handle: string): Promise<string[]> => (await readdir(dirname(fileOf(handle)))).sort();
  const inTmp = (): Promise<string[]> => readdir(join(root, 'tmp'));
  const timePasses = (milliseconds: number): void => {
    const later = Date.now() + milliseconds;
    jest.spyOn(Date, 'now').mockReturnValue(later);
  };

  describe('the files', () => {
    it('can be read by their owner only, and so can the folders', async () => {
      await create('handle');
      const modes = await Promise.all(
        [fileOf('handle'), dirname(fileOf('handle')), join(root, 'ha'), join(root, 'tmp'), root].map(
          async (path) => (await stat(path)).mode & 0o777,
        ),
      );
      expect(modes).toEqual([0o600, 0o700, 0o700, 0o700, 0o700]);
    });

    it('have the mode that was asked for, and folders to match', async () => {
      const umask = process.umask(0o022);
      try {
        const shared = new FilesystemSessionRepository({ dir: home, mode: 0o640 }, { keyPrefix: 'shared' });
        await shared.create('handle', { payload: Buffer.from('text') }, LONG);
        const folder = join(home, 'shared', 'ha', 'handle');
        expect([(await stat(join(folder, '1'))).mode & 0o777, (await stat(folder)).mode & 0o777]).toEqual([0o640, 0o750]);
      } finally {
        process.umask(umask);
      }
    });

    it('keep prefixes apart, whatever they contain', async () => {
      const prefixes = ['a', 'A:', 'A_3A', 'A_5F3A', 'a_b', '../a', 'a/b', '.', '..', '*', '', '_', 'a%b', 'é', '_C3_A9'];
      const repositories = prefixes.map((keyPrefix) => new FilesystemSessionRepository({ dir: home }, { keyPrefix }));
      for (const [index, one] of repositories.entries()) await one.create('handle', { payload: Buffer.from(prefixes[index] ?? '') }, LONG);
      for (const [index, one] of repositories.entries())
        expect(Buffer.from((await one.read('handle'))?.payload ?? []).toString()).toBe(prefixes[index]);
      expect(await readdir(dirname(home))).not.toContain('a');
    });

    it('are one per session: the version before goes with an update, and nothing is left in tmp', async () => {
      const version = await create('handle', 'first');
      const updated = await repository.update('handle', { payload: Buffer.from('second') }, version ?? '', LONG);
      await repository.update('handle', { payload: Buffer.from('late') }, version ?? '', LONG);
      await create('handle', 'late');
      expect(updated.status).toBe('updated');
      expect(await versionsOf('handle')).toEqual(['2']);
      await repository.delete('handle');
      expect([await inTmp(), await readdir(join(root, 'ha'))]).toEqual([[], []]);
    });

    it('are few, even where many write one session without a pause', async () => {
      await create('handle', '0');
      const write = async (): Promise<void> => {
        for (let count = 0; count < 40; count++) {
          const found = await repository.read('handle');
          await repository.update('handle', { payload: Buffer.from('x') }, found?.version ?? '', LONG);
        }
      };
      await Promise.all(Array.from({ length: 8 }, write));
      const found = await repository.read('handle');
      await repository.update('handle', { payload: Buffer.from('last') }, found?.version ?? '', LONG);
      expect(await versionsOf('handle')).toHaveLength(1);
    });
  });

  it('needs 16 calls of the system for a change, the read before it included', async () => {
    await create('handle', 'first');
    const calls = await callsOf(async () => {
      const found = await repository.read('handle');
      await repository.update('handle', { payload: Buffer.from('second') }, found?.version ?? '', LONG);
    });
    expect(calls).toEqual({
      readdir: 3,
      open: 2,
      fstat: 1,
      read: 1,
      close: 2,
      lstatExact: 1,
      write: 1,
      setTimes: 1,
      flush: 1,
      link: 1,
      unlink: 2,
    });
  });

  describe('the folder', () => {
    const boot = (mode?: number): Promise<void> =>
      new FilesystemSessionRepository({ dir: home, ...(mode && { mode }) }, { keyPrefix: 'session:' }).onModuleInit();

    it.each([0o777, 0o775, 0o702])('is refused at boot when others may write to it: mode %o', async (mode) => {
      for (const path of [home, root]) {
        await chmod(path, mode);
        await expect(boot()).rejects.toThrow(/^\[ServerSession\] the session folder '.+' may be written to .+ Run: chmod go-w '/);
        await chmod(path, 0o700);
        await boot();
      }
    });

    it('may be one that the group may write to, where the files may be as well', async () => {
      await chmod(root, 0o770);
      await boot(0o660);
    });

    it('may be in one like /tmp, where users can only rename what is theirs', async () => {
      await chmod(home, 0o1777);
      await boot();
    });

    const itAsRoot = process.getuid?.() === 0 ? it : it.skip;
    itAsRoot('is refused at boot when it belongs to another user', async () => {
      for (const path of [home, root]) {
        await chown(path, 65_534, 65_534);
        await expect(boot()).rejects.toThrow(/belongs to another user \(uid 65534.+ Run: chown -R 0 '/);
        await chown(path, 0, 0);
      }
    });
  });

  describe('an error', () => {
    it('has no path, which would name the session', async () => {
      await create('secret-handle');
      await writeFile(join(root, 'fi'), 'a file in the place of a folder');
      await chmod(join(root, 'tmp'), 0o700);
      const errors = [
        await create('file').catch((error: unknown) => error),
        await repository.update('secret-handle', { payload: Buffer.alloc(1) }, '1', Number.NaN).catch((error: unknown) => error),
      ];
      expect(errors[0]).toHaveProperty('code', 'ENOTDIR');
      for (const error of errors) {
        const shown = inspect(error, { depth: 10, showHidden: true }) + JSON.stringify(error) + String((error as Error).stack);
        expect(shown).not.toMatch(/secret-handle|\/fi|session_3A/);
      }
    });
  });

  describe('a walk over many sessions', () => {
    const callsMeanwhile = async (): Promise<unknown> => {
      // What was under way comes to its end.
      await new Promise((resolve) => setTimeout(resolve, 30));
      return callsOf(() => new Promise((resolve) => setTimeout(resolve, 100)));
    };
    const fill = async (): Promise<void> => {
      const filling = new FilesystemSessionRepository({ dir: home, threshold: 0 }, { keyPrefix: 'session:' });
      for (let index = 10; index < 40; index++) await filling.create(`${index}`, { payload: Buffer.from('text') }, LONG);
    };
    const slow = (): FilesystemSessionRepository => {
      const entries = files.entries;
      jest.spyOn(files, 'entries').mockImplementation(async (path) => {
        await new Promise((resolve) => setTimeout(resolve, 10));
        return entries(path);
      });
      return new FilesystemSessionRepository({ dir: home, threshold: 0 }, { keyPrefix: 'session:', storeTimeout: 5 });
    };

    it('stops when its caller does not wait any more', async () => {
      await fill();
      const hurried = slow();
      await expect(hurried.list({ limit: 100 })).rejects.toThrow('within 5 ms');
      await expect(hurried.count({})).rejects.toThrow('within 50 ms');
      expect(await callsMeanwhile()).toEqual({});
    });

    it('stops when the application ends', async () => {
      await fill();
      const ending = slow();
      const purge = ending.purgeExpired();
      ending.onApplicationShutdown();
      await expect(purge).rejects.toThrow('has ended');
      expect(await callsMeanwhile()).toEqual({});
    });
  });

  describe('a damaged file', () => {
    const DAMAGED: [title: string, damage: (content: Buffer) => Buffer | string][] = [
      ['cut off', (content) => content.subarray(0, content.length - 1)],
      ['cut off in its first line', (content) => content.subarray(0, 5)],
      ['that is empty', () => ''],
      ['with something appended', (content) => Buffer.concat([content, Buffer.from('x')])],
      ['of JSON in another shape', () => '{"a":1}\n'],
      ['of JSON that is no object', () => 'null\n'],
      ['of random bytes', () => Buffer.from([0xff, 0x00, 0x0a, 0x80, 0xc3])],
      ['that another program wrote', () => '#!/bin/sh\nexit\n'],
    ];

    it.each(DAMAGED)('%s is an unreadable record, not an absent one', async (_title, damage) => {
      await create('handle', 'some text');
      await writeFile(fileOf('handle'), damage(await readFile(fileOf('handle'))));
      await utimes(fileOf('handle'), new Date(), new Date(Date.now() + LONG));
      await expect(repository.read('handle')).rejects.toThrow(UnreadableRecordError);
      expect(await create('handle')).toBeUndefined();
      expect((await repository.list({ limit: 10 })).records).toEqual([]);
      expect(await repository.delete('handle')).toBe(true);
    });

    it('is not in the way of purge and count', async () => {
      await create('handle');
      await mkdir(join(root, 'xy'));
      await writeFile(join(root, 'notes.txt'), 'not a session');
      await writeFile(join(root, 'xy', 'xyz'), 'not a session');
      await mkdir(join(root, 'xy', 'xyempty'));
      await repository.purgeExpired();
      expect(await repository.count({})).toBe(1);
    });
  });

  describe('when the folder was cleaned by hand', () => {
    it('goes on without its tmp', async () => {
      const version = await create('handle', 'first');
      await rm(join(root, 'tmp'), { recursive: true });
      expect((await repository.update('handle', { payload: Buffer.from('second') }, version ?? '', LONG)).status).toBe('updated');
      await rm(join(root, 'tmp'), { recursive: true });
      expect(await repository.delete('handle')).toBe(true);
      await rm(join(root, 'tmp'), { recursive: true });
      expect(await create('handle')).toBe('1');
    });

    it('goes on without anything', async () => {
      await create('handle');
      await rm(home, { recursive: true });
      expect(await repository.read('handle')).toBeUndefined();
      expect(await repository.delete('handle')).toBe(false);
      expect(await repository.purgeExpired()).toBe(0);
      await rm(home, { recursive: true, force: true });
      expect(await create('handle')).toBe('1');
    });
  });

  describe('purge', () => {
    // The walk that begins with the application must be over: it removes what has expired, too.
    beforeEach(async () => void (await repository.purgeExpired()));

    it('removes what has expired, and only that, and says how much', async () => {
      await create('expired', 'text', 1_000);
      await create('living');
      timePasses(20_000);
      expect(await repository.purgeExpired()).toBe(1);
      expect(await readdir(join(root, 'ex'))).toEqual([]);
      expect(await textOf('living')).toBe('text');
    });

    it('opens no file: what would wait for ever to be read is removed as well', async () => {
      const pipe = fileOf('handle');
      await mkdir(dirname(pipe), { recursive: true });
      execFileSync('mkfifo', [pipe]);
      await utimes(pipe, new Date(0), new Date(0));
      expect(await repository.purgeExpired()).toBe(1);
    });

    it('takes what crashes have left in tmp, but not what is being written', async () => {
      await writeFile(join(root, 'tmp', 'draft'), 'half a sess');
      await mkdir(join(root, 'tmp', 'grave'));
      await writeFile(join(root, 'tmp', 'grave', '1'), 'deleted');
      await repository.purgeExpired();
      expect((await inTmp()).sort()).toEqual(['draft', 'grave']);
      timePasses(61_000);
      await repository.purgeExpired();
      expect(await inTmp()).toEqual([]);
    });

    it('takes superseded versions that a crash has left, but not what a writer may still look for', async () => {
      await create('handle');
      await writeFile(fileOf('handle', '2'), await readFile(fileOf('handle')));
      await utimes(fileOf('handle', '2'), new Date(), new Date(Date.now() + LONG));
      await repository.purgeExpired();
      expect(await versionsOf('handle')).toEqual(['1', '2']);
      timePasses(11_000);
      await repository.purgeExpired();
      expect(await versionsOf('handle')).toEqual(['2']);
    });

    it('is not needed for that: the next updates do the same', async () => {
      await create('handle');
      await writeFile(fileOf('handle', '2'), await readFile(fileOf('handle')));
      await utimes(fileOf('handle', '2'), new Date(), new Date(Date.now() + LONG));
      const payload = Buffer.from('later');
      expect((await repository.update('handle', { payload }, '2', LONG)).status).toBe('updated');
      expect(await versionsOf('handle')).toEqual(['1', '2.old', '3']);
      timePasses(11_000);
      expect((await repository.update('handle', { payload }, '3', LONG)).status).toBe('updated');
      expect(await versionsOf('handle')).toEqual(['4']);
    });
  });

  describe('at the threshold', () => {
    const limited = (threshold: number): FilesystemSessionRepository =>
      new FilesystemSessionRepository({ dir: home, threshold }, { keyPrefix: 'session:' });
    const payload = Buffer.from('text');
    const handles = async (): Promise<string[]> => (await repository.list({ limit: 100 })).records.map(({ handle }) => handle);

    it('expired sessions go first, without a word', async () => {
      const warn = jest.spyOn(Logger.prototype, 'warn').mockReturnValue();
      const full = limited(10);
      for (let index = 0; index < 9; index++) await full.create(`living${index}`, { payload }, LONG + index);
      await full.create('short', { payload }, 1);
      await new Promise((resolve) => setTimeout(resolve, 10));
      expect(await full.create('new', { payload }, LONG)).toBe('1');
      expect(await handles()).toHaveLength(10);
      expect(warn).not.toHaveBeenCalled();
    });

    it('then the longest unused go, with one warning', async () => {
      const warn = jest.spyOn(Logger.prototype, 'warn').mockReturnValue();
      const full = limited(10);
      for (let index = 0; index < 10; index++) await full.create(`session${index}`, { payload }, LONG + index);
      await full.read('session0', LONG + 1_000);
      for (const name of ['new1', 'new2', 'new3']) await full.create(name, { payload }, LONG + 500);
      expect(await handles()).toEqual([
        'new1',
        'new2',
        'new3',
        'session0',
        'session4',
        'session5',
        'session6',
        'session7',
        'session8',
        'session9',
      ]);
      expect(warn).toHaveBeenCalledTimes(1);
      expect(warn.mock.calls[0]?.[0]).toContain("'filesystem.threshold'");
    });

    it('a create costs the same beside 20 and beside 600 sessions, and keeps the number', async () => {
      jest.spyOn(Logger.prototype, 'warn').mockReturnValue();
      const costs: number[] = [];
      for (const threshold of [20, 600]) {
        const full = limited(threshold);
        for (let index = 0; index < threshold; index++) await full.create(`s${threshold}-${index}`, { payload }, LONG);
        await eventually(async () => expect(await callCountOf(() => new Promise((resolve) => setTimeout(resolve, 30)))).toBe(0));
        costs.push(await callCountOf(() => full.create(`s${threshold}-new`, { payload }, LONG)));
        expect(await repository.count({})).toBe(threshold);
      }
      expect(Math.abs((costs[0] ?? 0) - (costs[1] ?? 0))).toBeLessThan(10);
    });

    it('what other processes make is seen, and the longest unused go, whoever made them', async () => {
      jest.spyOn(Logger.prototype, 'warn').mockReturnValue();
      const [one, other] = [limited(40), limited(40)];
      for (let index = 0; index < 100; index++)
        await (index % 2 === 0 ? one : other).create(`session${100 + index}`, { payload }, LONG + index);
      await eventually(async () => expect((await handles()).length).toBeLessThanOrEqual(45));
      const left = await handles();
      expect(left.length).toBeGreaterThan(30);
      expect(left).toContain('session199');
      expect(left).not.toContain('session120');
    });

    it('0 is no limit', async () => {
      const unlimited = limited(0);
      for (let index = 0; index < 30; index++) await unlimited.create(`session${index}`, { payload }, LONG);
      expect(await repository.count({})).toBe(30);
    });
  });
});
