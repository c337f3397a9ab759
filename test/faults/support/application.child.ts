import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ServerSessionModule, type ServerSessionOptions } from '../../../lib/index.js';
import { withClientOfApplication } from './application-client.js';
import { SessionRoutesController } from './session-routes.controller.js';

/** What the parent wants to know now and then. */
export interface Resources {
  readonly heapBytes: number;
  /** All memory of the process, buffers included. */
  readonly totalBytes: number;
  /** Sockets, files and timers that Node holds open. */
  readonly handles: number;
}

const given = JSON.parse(process.argv[2] ?? '{}') as ServerSessionOptions;
const options = process.argv[3] === 'application' ? await withClientOfApplication(given) : given;

@Module({ imports: [ServerSessionModule.forRoot(options)], controllers: [SessionRoutesController] })
class ChildModule {}

const app = await NestFactory.create(ChildModule, { logger: false });
app.enableShutdownHooks();
await app.listen(0, '127.0.0.1');
const { port } = app.getHttpServer().address() as { port: number };

process.on('message', (message) => {
  if (message === 'close') void app.close().then(() => process.disconnect());
  if (message !== 'resources') return;
  globalThis.gc?.();
  const handles = process.getActiveResourcesInfo().filter((kind) => !/^(Timeout|Immediate)$/.test(kind)).length;
  const { heapUsed, rss } = process.memoryUsage();
  process.send?.({ heapBytes: heapUsed, totalBytes: rss, handles } satisfies Resources);
});
process.on('disconnect', () => process.exit());
process.send?.(`http://127.0.0.1:${port}`);
