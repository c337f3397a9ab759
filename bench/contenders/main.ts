import 'reflect-metadata';
import { type INestApplication, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { SharedController, VALIDATION } from './application.js';
import type { Adapter, Contender, StoreLocation } from './contender.js';

/** Each in a module of its own, so that a process loads only what it measures. */
const CONTENDERS: Record<string, () => Promise<Contender>> = {
  none: async () => (await import('./hand-written.controllers.js')).noSession,
  bare: async () => (await import('./hand-written.controllers.js')).bareHandlers,
  interceptor: async () => (await import('./hand-written.controllers.js')).handWrittenInterceptor,
  'server-session': async () => (await import('./server-session.js')).serverSession,
  'near-cache': async () => (await import('./server-session.js')).nearCache,
  'express-session': async () => (await import('./express-session.js')).expressSession,
  'fastify-session': async () => (await import('./fastify-sessions.js')).fastifySessionContender,
  mgcrea: async () => (await import('./fastify-sessions.js')).mgcreaContender,
};

export interface ContenderSetup extends StoreLocation {
  readonly contender: string;
  readonly adapter: Adapter;
}

/** What the parent asks and hears. */
export type ContenderReport =
  { readonly port: number } | { readonly cpuMicros: number; readonly rssBytes: number; readonly heapBytes: number };

async function main(setup: ContenderSetup): Promise<void> {
  const load = CONTENDERS[setup.contender];
  if (load === undefined) throw new Error(`there is no contender '${setup.contender}'`);
  const contender = await load();

  @Module({
    imports: contender.imports?.(setup) ?? [],
    providers: contender.providers?.(setup) ?? [],
    controllers: [SharedController, ...(contender.controller === undefined ? [] : [await contender.controller(setup)])],
  })
  class BenchModule {}

  const app =
    setup.adapter === 'fastify'
      ? await NestFactory.create(BenchModule, new FastifyAdapter(), { logger: ['error'] })
      : await NestFactory.create(BenchModule, { logger: ['error'] });
  app.useGlobalPipes(VALIDATION);
  await contender.configure?.(app as INestApplication & NestExpressApplication & NestFastifyApplication, setup);
  await app.listen(0, '127.0.0.1');
  const { port } = app.getHttpServer().address() as { port: number };
  send({ port });
}

function send(report: ContenderReport): void {
  process.send?.(report);
}

process.on('message', () => {
  // There only where memory is weighed.
  globalThis.gc?.();
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed } = process.memoryUsage();
  send({ cpuMicros: user + system, rssBytes: rss, heapBytes: heapUsed });
});
process.on('disconnect', () => process.exit());

await main(JSON.parse(process.argv[2] ?? '{}') as ContenderSetup);
