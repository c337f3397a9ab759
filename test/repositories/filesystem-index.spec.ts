import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { mkdir, mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { files } from '../../lib/repositories/filesystem/files.js';
import { FilesystemSessionRepository } from '../../lib/repositories/filesystem/filesystem-session.repository.js';
import { PrincipalIndex } from '../../lib/repositories/filesystem/principal-index.js';
import { callsOf } from '../support/file-calls.js';

const LONG = 600_000;

describe('The index of principals in files', () => {
  let home: string;
  let root: string;
  let repository: FilesystemSessionRepository;

  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'sessions-'));
    root = join(home, 'session_3A');
    repository = open();
    await repository.onModuleInit();
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    repository.onApplicationShutdown();
    await rm(home, { recursive: true, force: true });
  });

  const open = (): FilesystemSessionRepository => new FilesystemSessionRepository({ dir: home, threshold: 0 }, { keyPrefix: 'session:' });
  const create = (handle: string, principal?: string, ttl = LONG): Promise<string | undefined> =>
    repository.create(handle, { payload: Buffer.from(handle), principal }, ttl);
  const handlesOf = async (principal: string, limit = 100): Promise<string[]> =>
    (await repository.list({ principal, limit })).records.map(({ handle }) => handle);
  const entryOf = (principal: string, handle: string): string => {
    const key = PrincipalIndex.keyOf(principal) ?? '';
    return join(root, 'principals', key.slice(0, 2), key, handle);
  };
  const entriesOf = (principal: string): Promise<string[]> => readdir(dirname(entryOf(principal, 'any'))).catch(() => []);
  /** An entry that a crash has left a while ago. */
  const leaveEntry = async (principal: string, handle: string): Promise<void> => {
    const path = entryOf(principal, handle);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, '');
    await utimes(path, new Date(), new Date(Date.now() - 61_000));
  };
  const forgetIndex = async (): Promise<void> => {
    await rm(join(root, 'principals'), { recursive: true, force: true });
    await rm(join(root, 'indexed'));
  };

  it('loses its entry with the session: by a deletion, one against a version, another principal, none, and the purge', async () => {
    for (const handle of ['deleted', 'versioned', 'given', 'anonymous']) await create(handle, 'ann');
    await create('expired', 'ann', 1);
    await repository.delete('deleted');
    await repository.delete('versioned', (await repository.read('versioned'))?.version);
    for (const [handle, principal] of [
      ['given', 'bob'],
      ['anonymous', undefined],
    ] as const)
      await repository.update(handle, { payload: Buffer.from('x'), principal }, (await repository.read(handle))?.version ?? '', LONG);
    const later = Date.now() + 20_000;
    jest.spyOn(Date, 'now').mockReturnValue(later);
    expect(await repository.purgeExpired()).toBe(1);
    expect([await entriesOf('ann'), await entriesOf('bob')]).toEqual([[], ['given']]);
  });

  it('makes a listing, a count and a log-in of one user cost the same beside 10 and beside 400 other sessions', async () => {
    const cost = async (): Promise<unknown> => ({
      list: await callsOf(() => repository.list({ principal: 'ann', limit: 50 })),
      count: await callsOf(() => repository.count({ principal: 'ann' })),
      create: await callsOf(() => create(`new${Math.random()}`, 'carol')),
    });
    for (const handle of ['a', 'b', 'c']) await create(handle, 'ann');
    await create('new', 'carol');
    for (let index = 0; index < 10; index++) await create(`other${index}`, 'bob');
    const before = await cost();
    for (let index = 10; index < 400; index++) await create(`other${index}`, 'bob');
    expect(await cost()).toEqual(before);
  });

  it('finds a session that gets a new id while the listing reads the old one', async () => {
    for (const handle of ['m', 'n']) await create(handle, 'ann');
    const read = repository.read.bind(repository);
    let isMoved = false;
    jest.spyOn(repository, 'read').mockImplementation(async (handle) => {
      if (handle === 'n' && !isMoved) {
        isMoved = true;
        const { version = '' } = (await read('n')) ?? {};
        await create('a', 'ann');
        await repository.update('n', { payload: Buffer.from('retired') }, version, LONG);
      }
      return read(handle);
    });
    expect(await handlesOf('ann')).toEqual(['m', 'a']);
  });

  it('lists what comes while pages are read on a later page', async () => {
    for (const handle of ['x', 'y', 'z']) {
      await create(handle, 'ann');
      await utimes(entryOf('ann', handle), new Date(), new Date(Date.now() - 1_000));
    }
    const first = await repository.list({ principal: 'ann', limit: 2 });
    await create('a', 'ann');
    const second = await repository.list({ principal: 'ann', limit: 2, cursor: first.cursor });
    expect([...first.records, ...second.records].map(({ handle }) => handle)).toEqual(['x', 'y', 'z', 'a']);
  });

  it('is made for sessions of an older version, before the first answer', async () => {
    for (let index = 0; index < 5; index++) await create(`old${index}`, 'ann');
    await create('other', 'bob');
    await forgetIndex();
    repository = open();
    expect((await handlesOf('ann')).sort()).toEqual(['old0', 'old1', 'old2', 'old3', 'old4']);
    expect(await callsOf(() => handlesOf('bob'))).toMatchObject({ open: 1 });
  });

  it('is completed by the purge, where a process of an older version has written meanwhile', async () => {
    await create('session', 'ann');
    await repository.purgeExpired();
    await rm(join(root, 'principals'), { recursive: true });
    expect(await handlesOf('ann')).toEqual([]);
    await repository.purgeExpired();
    expect(await handlesOf('ann')).toEqual(['session']);
  });

  it('reads in the purge only what has changed since the one before', async () => {
    await create('session', 'ann');
    const later = Date.now() + 120_000;
    jest.spyOn(Date, 'now').mockReturnValue(later);
    await repository.purgeExpired();
    const opened = jest.spyOn(files, 'open');
    await repository.purgeExpired();
    expect(opened.mock.calls.filter(([path]) => path.includes('session/1'))).toEqual([]);
  });

  it('loses what a crash has left as soon as it is listed, but nothing that is just being written', async () => {
    await create('session', 'ann');
    await leaveEntry('ann', 'crashed');
    await writeFile(entryOf('ann', 'coming'), '');
    expect(await handlesOf('ann')).toEqual(['session']);
    expect((await entriesOf('ann')).sort()).toEqual(['coming', 'session']);
  });

  it('loses the entries of sessions that an older version has ended, when that was at work for long', async () => {
    await create('session', 'ann');
    await leaveEntry('bob', 'ended');
    await utimes(join(root, 'indexed'), new Date(), new Date(Date.now() - 2 * 3_600_000));
    await repository.purgeExpired();
    expect([await entriesOf('ann'), await entriesOf('bob')]).toEqual([['session'], []]);
  });

  it('keeps an entry whose session is written a minute after it', async () => {
    const link = files.rename;
    jest.spyOn(files, 'rename').mockImplementation(async (path, name) => {
      await utimes(entryOf('ann', 'slow'), new Date(), new Date(Date.now() - 61_000));
      expect(await handlesOf('ann')).toEqual([]);
      jest.spyOn(files, 'rename').mockRestore();
      return link(path, name);
    });
    await create('slow', 'ann');
    expect(await handlesOf('ann')).toEqual(['slow']);
  });

  it('can be read by its owner only', async () => {
    await create('session', 'ann');
    const path = entryOf('ann', 'session');
    const modes = await Promise.all([path, dirname(path), join(root, 'principals')].map(async (one) => (await stat(one)).mode & 0o777));
    expect(modes).toEqual([0o600, 0o700, 0o700]);
  });

  it.each(['EMFILE', 'EIO', 'EACCES'])('is not empty where the system answers %s: list and count reject', async (code) => {
    await create('session', 'ann');
    for (const name of ['readdir', 'open', 'lstat', 'read', 'entries'] as const) {
      const failing = jest.spyOn(files, name).mockRejectedValue(Object.assign(new Error(code), { code }));
      const answers = await Promise.allSettled([
        repository.list({ principal: 'ann', limit: 10 }),
        repository.list({ limit: 10 }),
        repository.count({ principal: 'ann' }),
        repository.count({}),
      ]);
      failing.mockRestore();
      const isNone = (value: unknown): boolean => value === 0 || (value as { records?: unknown[] }).records?.length === 0;
      expect(answers.filter((answer) => answer.status === 'fulfilled' && isNone(answer.value))).toEqual([]);
      expect(answers.some(({ status }) => status === 'rejected')).toBe(true);
    }
  });
});
