import { describe, expect, it } from '@jest/globals';
import { loadPackage } from '../../../lib/common/load-package.js';
import { MissingPackageError } from '../../../lib/errors.js';

describe('An optional package', () => {
  const failing = (error: unknown) => async (): Promise<never> => {
    throw error;
  };

  it('is what its import gives', async () => {
    expect(await loadPackage(async () => ({ answer: 42 }), "type: 'redis'", 'ioredis')).toEqual({ answer: 42 });
  });

  it.each(['ERR_MODULE_NOT_FOUND', 'MODULE_NOT_FOUND'])(
    'that is not installed (%s) is an error that says how to install it',
    async (code) => {
      const loading = loadPackage(failing(Object.assign(new Error('no such module'), { code })), "type: 'redis'", 'ioredis');
      await expect(loading).rejects.toThrow(MissingPackageError);
      await expect(loading).rejects.toThrow(/npm install ioredis/);
    },
  );

  it.each([new Error('it is broken'), Object.assign(new Error('no access'), { code: 'EACCES' }), 'a string', null])(
    'that fails as it is loaded fails as it does: %s',
    async (error) => {
      await expect(loadPackage(failing(error), "type: 'redis'", 'ioredis')).rejects.toBe(error);
    },
  );
});
