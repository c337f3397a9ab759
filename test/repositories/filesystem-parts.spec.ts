import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import fc from 'fast-check';
import { inspect } from 'node:util';
import { files } from '../../lib/repositories/filesystem/files.js';
import { folderNameOf } from '../../lib/repositories/filesystem/session-folder.js';
import { Threshold } from '../../lib/repositories/filesystem/threshold.js';
import { FUZZ_RUNS } from '../support/fuzz.js';

describe('The folder of a key prefix', () => {
  it.each([
    ['session:', 'session_3A'],
    ['', '_'],
    ['_', '_5F'],
    ['a.b*', 'a_2Eb_2A'],
    ['é', '_C3_A9'],
    ['_3A', '_5F3A'],
  ])('of %j is %s', (keyPrefix, name) => expect(folderNameOf(keyPrefix)).toBe(name));

  it('is that of no other prefix', () => {
    const prefix = fc.string({ unit: fc.constantFrom('_', ':', '3', 'A', '5', 'F', '.', '*', '%', 'é', 'C'), maxLength: 6 });
    const property = fc.property(prefix, prefix, (one, other) => one === other || folderNameOf(one) !== folderNameOf(other));
    fc.assert(property, { numRuns: FUZZ_RUNS });
  });
});

describe('A call of the filesystem', () => {
  it('has no path in its error, because the path of a session names it', async () => {
    const error = await files.rename('/nowhere/a-session', '/nowhere/another-session').catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'ENOENT', message: 'ENOENT: no such file or directory, rename' });
    expect(inspect(error, { showHidden: true })).not.toMatch(/nowhere|session/);
  });
});

describe('The threshold of a folder', () => {
  afterEach(() => void jest.restoreAllMocks());

  /** A folder whose sessions are known by name and expiry. */
  function folderOf(sessions: Map<string, number>, limit: number): Threshold {
    const threshold: Threshold = new Threshold(limit, {
      expiryOf: async (handle) => sessions.get(handle),
      remove: async (handle) => sessions.delete(handle),
      recount: async () => {
        threshold.begin();
        for (const [handle, expiry] of sessions) threshold.add(handle, expiry);
        threshold.complete();
      },
    });
    return threshold;
  }

  it('counts a session whose end has failed as one that is there', async () => {
    jest.spyOn(Logger.prototype, 'warn').mockReturnValue();
    const sessions = new Map<string, number>();
    const threshold = folderOf(sessions, 100);
    const create = async (handle: string): Promise<void> => {
      await threshold.makeRoom(handle);
      const expiry = Date.now() + 60_000 + sessions.size;
      sessions.set(handle, expiry);
      threshold.settle(handle, expiry);
    };
    for (let index = 0; index < 100; index++) await create(`s${index}`);
    const failing = threshold.ending('s99', () => Promise.reject(new Error('the disk is on fire')));
    await expect(failing).rejects.toThrow('on fire');
    await create('new');
    expect([sessions.size, sessions.has('s0'), sessions.has('s99'), sessions.has('new')]).toEqual([100, false, true, true]);
  });
});
