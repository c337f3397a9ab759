import { describe, expect, it } from '@jest/globals';
import type { INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { type ServerSessionOptions, ServerSessionModule } from 'nestjs-server-session';
import { inspect } from 'node:util';

async function boot(options: ServerSessionOptions): Promise<unknown> {
  let context: INestApplicationContext | undefined;
  try {
    context = await NestFactory.createApplicationContext(ServerSessionModule.forRoot(options), { logger: false, abortOnError: false });
    return undefined;
  } catch (error) {
    return error;
  } finally {
    await context?.close();
  }
}

describe('An application that cannot start', () => {
  it.each<[string, ServerSessionOptions]>([
    ['redis', { type: 'redis', redis: { url: 'user:hunter2@localhost:6379' } }],
    ['redis', { type: 'redis', redis: { url: 'redis:hunter2@localhost' } as never }],
    ['memcached', { type: 'memcached', memcached: { servers: 'user:hunter2@localhost:11211' } }],
    ['mongodb', { type: 'mongodb', mongodb: { uri: 'user:hunter2@localhost:27017' } }],
    ['mongodb', { type: 'mongodb', mongodb: { uri: 'mongodb://user:hunter2@localhost:not-a-port/app' } }],
    ['mongodb', { type: 'mongodb', mongodb: { uri: 'mongodb://user:hun:ter2@localhost:27017/?hunter2=hunter2' } }],
    ['typeorm', { type: 'typeorm', typeorm: { url: 'user:hunter2@localhost/app' } }],
    ['typeorm', { type: 'typeorm', typeorm: { url: 'mysql:user:hunter2@localhost/app' } }],
    ['a type', { type: 'redis:hunter2@localhost' as never }],
  ])('tells no password: %s', async (_, options) => {
    const error = await boot(options);
    expect(error).toBeInstanceOf(Error);
    expect(String(error)).toContain('[ServerSession]');
    expect(inspect(error, { depth: Infinity, showHidden: true }) + JSON.stringify(error)).not.toMatch(/hunter2|ter2/);
  });
});
