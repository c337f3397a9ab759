import { describe, expect, it } from '@jest/globals';
import { NullSessionError } from '../../lib/errors.js';
import { NullSessionRepository } from '../../lib/repositories/null/null-session.repository.js';
import { isListable } from '../../lib/repositories/session-repository.js';

describe('null', () => {
  const repository = new NullSessionRepository();

  it('has no session', async () => {
    expect(await repository.read()).toBeUndefined();
    expect(await repository.delete()).toBe(false);
  });

  it('refuses to store one, and says what to configure', async () => {
    await expect(repository.create()).rejects.toThrow(NullSessionError);
    await expect(repository.create()).rejects.toThrow("set the option 'type'");
    await expect(repository.update()).rejects.toThrow(NullSessionError);
  });

  it('lists nothing and opens nothing', () => {
    expect(isListable(repository)).toBe(false);
    expect(repository.onModuleInit).toBeUndefined();
    expect(repository.onApplicationShutdown).toBeUndefined();
  });
});
