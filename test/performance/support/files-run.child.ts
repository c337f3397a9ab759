// Prints, as JSON, which files of lib/ run for one request that reads and for one that changes a session: those of which any function is called.
import 'reflect-metadata';
import { Controller, Get, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { type Profiler, Session as Inspector } from 'node:inspector/promises';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ServerSession, ServerSessionModule, Session } from '../../../lib/index.js';

const LIB = fileURLToPath(new URL('../../../lib/', import.meta.url));
/** What is done once only, and what is remembered after the first time, is done after so many. */
const FIRST_REQUESTS = 3;

@Controller()
class WorkController {
  @Get('read') read(@Session() session: ServerSession): unknown {
    return { n: session.get('n', null) };
  }
  @Get('change') change(@Session() session: ServerSession): string {
    session.set('n', session.get('n', 0) + 1);
    return 'changed';
  }
}

@Module({ imports: [ServerSessionModule.forRoot({ type: 'memory' })], controllers: [WorkController] })
class Application {}

const adapter = process.argv[2] === 'fastify' ? new FastifyAdapter() : new ExpressAdapter();
const app = await NestFactory.create(Application, adapter, { logger: ['error'] });
await app.listen(0, '127.0.0.1');
const url = await app.getUrl();
let cookie = '';

async function request(path: string): Promise<void> {
  const response = await fetch(`${url}/${path}`, { headers: { cookie } });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  cookie = response.headers.getSetCookie()[0]?.split(';')[0] ?? cookie;
  await response.text();
}

const wasCalled = ({ functions }: Profiler.ScriptCoverage): boolean => functions.some(({ ranges }) => (ranges[0]?.count ?? 0) > 0);

const inspector = new Inspector();
inspector.connect();
await inspector.post('Profiler.enable');
await inspector.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false });

async function filesFor(path: string): Promise<string[]> {
  for (let n = 0; n < FIRST_REQUESTS; n++) await request(path);
  // Taking what was counted sets the counts back to nought.
  await inspector.post('Profiler.takePreciseCoverage');
  await request(path);
  const { result } = await inspector.post('Profiler.takePreciseCoverage');
  return result
    .filter(({ url: script }) => script.startsWith('file:') && fileURLToPath(script).startsWith(LIB))
    .filter(wasCalled)
    .map(({ url: script }) => relative(LIB, fileURLToPath(script)))
    .sort();
}

await request('change');
process.stdout.write(JSON.stringify({ change: await filesFor('change'), read: await filesFor('read') }));
inspector.disconnect();
await app.close();
