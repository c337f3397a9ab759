import { Module, type Type } from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import type { Adapter, RunningApplication } from '../../e2e/application.js';

/** An application that has never heard of sessions: what all others are compared with. */
export async function startPlainApplication(adapter: Adapter, controllers: Type[]): Promise<RunningApplication> {
  @Module({ controllers })
  class PlainModule {}

  const module = await Test.createTestingModule({ imports: [PlainModule] }).compile();
  const app = module.createNestApplication(adapter === 'fastify' ? new FastifyAdapter() : new ExpressAdapter(), { logger: false });
  await app.listen(0, '127.0.0.1');
  return { app, url: await app.getUrl(), close: () => app.close() };
}
