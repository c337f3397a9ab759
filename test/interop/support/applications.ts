import { Module, type ModuleMetadata, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ServerSessionModule, type ServerSessionOptions } from 'nestjs-server-session';
import { Browser } from '../../e2e/browser.js';
import { RecordingRepository } from '../../e2e/recording.repository.js';

type Metadata = ModuleMetadata & { options?: ServerSessionOptions };

/** The store of the application that was started last. */
export let repository: RecordingRepository;
let closing: (() => Promise<unknown>)[] = [];

/** Notes what is to be ended after the test. */
export function whenDone(end: () => Promise<unknown>): void {
  closing.push(end);
}

export async function closeAll(): Promise<void> {
  for (const end of closing.reverse()) await end();
  closing = [];
}

/** Starts an application on Express, and opens it in a browser. */
export async function start(metadata: Metadata, prepare: (app: NestExpressApplication) => void = () => undefined): Promise<Browser> {
  const app = await NestFactory.create<NestExpressApplication>(moduleOf(metadata), { logger: false });
  whenDone(() => app.close());
  prepare(app);
  await app.listen(0, '127.0.0.1');
  return new Browser(await app.getUrl());
}

export function moduleOf({ options, imports = [], ...metadata }: Metadata): Type {
  repository = new RecordingRepository();
  @Module({ imports: [ServerSessionModule.forRoot({ repository, ...options }), ...imports], ...metadata })
  class AppModule {}
  return AppModule;
}

/** Starts a server that is no application of ours. */
export async function serve(answer: RequestListener): Promise<string> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  whenDone(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
