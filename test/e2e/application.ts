import 'reflect-metadata';
import type { INestApplication, Type } from '@nestjs/common';
import { Module } from '@nestjs/common';
import { ExpressAdapter, type NestExpressApplication } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test, type TestingModuleBuilder } from '@nestjs/testing';
import { ServerSessionModule, type ServerSessionOptions } from 'nestjs-server-session';

/** Every test of the HTTP side runs on both. */
export const ADAPTERS = ['express', 'fastify'] as const;
export type Adapter = (typeof ADAPTERS)[number];

export interface ApplicationOptions {
  readonly adapter: Adapter;
  readonly session?: ServerSessionOptions;
  readonly controllers?: Type[];
  readonly providers?: Type[];
  readonly trustProxy?: boolean;
  /** Last changes to the module or the application before it starts. */
  readonly build?: (builder: TestingModuleBuilder) => TestingModuleBuilder;
  readonly configure?: (app: INestApplication) => void;
}

/** A running application on a free port. */
export interface RunningApplication {
  readonly app: INestApplication;
  readonly url: string;
  close(): Promise<void>;
}

export async function startApplication(options: ApplicationOptions): Promise<RunningApplication> {
  const { adapter, session = { type: 'memory' }, controllers = [], providers = [], trustProxy = false } = options;

  @Module({ imports: [ServerSessionModule.forRoot(session)], controllers, providers })
  class TestModule {}

  const builder = Test.createTestingModule({ imports: [TestModule] });
  const module = await (options.build?.(builder) ?? builder).compile();
  const httpAdapter = adapter === 'fastify' ? new FastifyAdapter({ trustProxy }) : new ExpressAdapter();
  const app = module.createNestApplication(httpAdapter, { logger: false });
  if (adapter === 'express' && trustProxy) (app as NestExpressApplication).set('trust proxy', true);
  app.enableShutdownHooks();
  options.configure?.(app);
  await app.listen(0, '127.0.0.1');
  const url = await app.getUrl();
  return { app, url: url.replace('[::1]', '127.0.0.1'), close: () => app.close() };
}
