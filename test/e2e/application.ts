import 'reflect-metadata';
import {
  type INestApplication,
  type LoggerService,
  type MiddlewareConsumer,
  Module,
  type ModuleMetadata,
  type NestModule,
  type Provider,
  type Type,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter, type NestExpressApplication } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test, type TestingModuleBuilder } from '@nestjs/testing';
import { ServerSessionModule, type ServerSessionOptions } from 'nestjs-server-session';

/** Every test of the HTTP side runs on both. */
export const ADAPTERS = ['express', 'fastify'] as const;
export type Adapter = (typeof ADAPTERS)[number];

/** How an application is made: as users do, or by a testing module. The order in which parts meet the adapter differs. */
export const BOOTS = ['NestFactory.create', 'a testing module'] as const;
export type Boot = (typeof BOOTS)[number];
/** Every way to boot on every adapter. */
export const APPLICATIONS = ADAPTERS.flatMap((adapter) => BOOTS.map((boot) => [adapter, boot] as const));

export interface ApplicationOptions {
  readonly adapter: Adapter;
  readonly boot?: Boot;
  /** Something of the framework's own before Nest has it. */
  readonly prepare?: (adapter: ExpressAdapter | FastifyAdapter) => void;
  readonly imports?: NonNullable<ModuleMetadata['imports']>;
  /** Middleware by `consumer.apply`. */
  readonly middleware?: NonNullable<NestModule['configure']>;
  readonly session?: ServerSessionOptions;
  readonly controllers?: Type[];
  readonly providers?: Provider[];
  readonly trustProxy?: boolean;
  readonly logger?: LoggerService;
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
  const { adapter, boot, session = { type: 'memory' }, controllers = [], providers = [], imports = [], trustProxy = false } = options;

  @Module({ imports: [ServerSessionModule.forRoot(session), ...imports], controllers, providers })
  class TestModule implements NestModule {
    configure(consumer: MiddlewareConsumer): void {
      options.middleware?.(consumer);
    }
  }

  const httpAdapter = adapter === 'fastify' ? new FastifyAdapter({ trustProxy }) : new ExpressAdapter();
  options.prepare?.(httpAdapter);
  let app: INestApplication;
  if (boot === 'NestFactory.create') {
    app = await NestFactory.create(TestModule, httpAdapter, { logger: options.logger ?? false, abortOnError: false });
  } else {
    const builder = Test.createTestingModule({ imports: [TestModule] });
    const module = await (options.build?.(builder) ?? builder).compile();
    app = module.createNestApplication(httpAdapter, { logger: options.logger ?? false });
  }
  if (adapter === 'express' && trustProxy) (app as NestExpressApplication).set('trust proxy', true);
  app.enableShutdownHooks();
  options.configure?.(app);
  await app.listen(0, '127.0.0.1');
  const url = await app.getUrl();
  return { app, url: url.replace('[::1]', '127.0.0.1'), close: () => app.close() };
}
