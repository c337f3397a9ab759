import { describe, expect, it } from '@jest/globals';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ServerSessionModule, type ServerSessionOptions, SessionOptionsError } from 'nestjs-server-session';
import { loadBackEnds, SESSION_TYPES } from '../../lib/repositories/back-ends.js';
import { faultsOf } from '../support/resolve-options.js';

describe('The back ends', () => {
  it('are these', () => {
    expect(SESSION_TYPES).toEqual(['null', 'memory', 'redis', 'memcached', 'filesystem', 'mongodb', 'typeorm']);
    expect(faultsOf({ type: 'dynamodb' })).toEqual([
      "'type' is 'dynamodb'; allowed: 'null', 'memory', 'redis', 'memcached', 'filesystem', 'mongodb', 'typeorm'",
    ]);
  });

  it('are loaded where their options are given, and only there', async () => {
    const loaded = async (options: unknown): Promise<string[]> => [...(await loadBackEnds(options as object)).keys()];
    expect(await loaded({ type: 'redis' })).toEqual([]);
    expect(await loaded({ type: 'redis', redis: {}, filesystem: {}, typo: {} })).toEqual(['redis', 'filesystem']);
    for (const none of [undefined, null, 'redis', 5, []]) expect(await loaded(none)).toEqual([]);
  });

  it('have options of their own, except the one that keeps nothing', () => {
    expect(faultsOf({ null: {} })).toEqual([expect.stringMatching(/^'null' is not an option; allowed: .*memcached, memory,/)]);
  });

  it('check their options at boot, all at once, whether they are chosen or not', async () => {
    const options = { type: 'memory', memory: { maxEntries: 0 }, redis: { url: 'x' }, mongodb: { typo: 1 }, idBytes: 1 };
    @Module({ imports: [ServerSessionModule.forRoot(options as ServerSessionOptions)] })
    class AppModule {}
    const boot = NestFactory.create(AppModule, { logger: false, abortOnError: false });
    await expect(boot).rejects.toThrow(SessionOptionsError);
    await expect(boot).rejects.toThrow(/'idBytes'[^]*'memory.maxEntries'[^]*'redis.url'[^]*'mongodb.typo'/);
  });
});
