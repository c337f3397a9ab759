// npm run test:soak: mixed traffic over HTTP for ten minutes (SOAK_SECONDS=40 for another time), shared between the memory back end and Redis. Users log in,
// read, change, regenerate and log out; one in four never comes back. Fails when the heap still grows in the last third, when handles, listeners or open
// files do, or when the process does not end by itself.
import 'reflect-metadata';
import { Controller, Get, type INestApplication, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { readdirSync } from 'node:fs';
import { Agent, get, type IncomingMessage, type Server } from 'node:http';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type ServerSession, ServerSessionModule, type ServerSessionOptions, Session, SessionService } from '../../lib/index.js';
import { startRedis } from '../servers/index.js';

const SECONDS = Number(process.env['SOAK_SECONDS'] ?? 600);
const CLIENTS = 8;
const SAMPLES = 24;
/** From the second third to the last one, in bytes. Compiled code and caches of V8 grow in steps of this order. */
const HEAP_MAY_GROW = 1024 * 1024;
/** Connections of the client are closed and opened again. */
const COUNT_MAY_GROW = 4;
const MAY_TAKE_TO_EXIT = 15_000;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
const print = (line: string): void => void process.stdout.write(`${line}\n`);

@Controller()
class ShopController {
  @Get('login') async login(@Session() session: ServerSession): Promise<string> {
    await session.regenerate();
    session.principal = `user${Math.floor(Math.random() * 1_000)}`;
    session.set('articles', ['first article']);
    return 'logged in';
  }
  @Get('read') read(@Session() session: ServerSession): unknown {
    return { articles: session.get('articles', []), user: session.principal };
  }
  @Get('change') change(@Session() session: ServerSession): string {
    session.set('articles', [...session.get<string[]>('articles', []), 'another article'].slice(-10));
    return 'changed';
  }
  @Get('regenerate') async regenerate(@Session() session: ServerSession): Promise<string> {
    await session.regenerate({ keep: true });
    return 'regenerated';
  }
  @Get('logout') async logout(@Session() session: ServerSession): Promise<string> {
    await session.destroy();
    return 'logged out';
  }
}

/** One user after the other, each with a cookie of their own. */
class Client {
  private cookie = '';
  logins = 0;
  requests = 0;

  constructor(
    private readonly url: string,
    private readonly agent: Agent,
  ) {}

  async user(): Promise<void> {
    this.cookie = '';
    await this.request('login');
    this.logins++;
    for (const path of ['read', 'change', 'read', 'regenerate', 'change']) await this.request(path);
    if (this.logins % 4 > 0) await this.request('logout');
  }

  private async request(path: string): Promise<void> {
    const headers = this.cookie === '' ? {} : { cookie: this.cookie };
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      get(`${this.url}/${path}`, { agent: this.agent, headers }, resolve).on('error', reject);
    });
    response.resume();
    await new Promise((resolve) => response.once('end', resolve));
    if (response.statusCode !== 200) throw new Error(`${path} was answered with ${response.statusCode}`);
    this.cookie = response.headers['set-cookie']?.[0]?.split(';')[0] ?? this.cookie;
    this.requests++;
  }
}

interface Sample {
  readonly logins: number;
  readonly sessions: number;
  readonly heap: number;
  readonly handles: number;
  readonly listeners: number;
  readonly files: number;
}

function openFiles(): number {
  return process.platform === 'linux' ? readdirSync('/proc/self/fd').length : 0;
}

async function sample(app: INestApplication, clients: readonly Client[]): Promise<Sample> {
  const sessions = await app.get(SessionService).count();
  for (let count = 0; count < 4; count++) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const server = app.getHttpServer() as Server;
  const listeners = [process, server].reduce<number>(
    (sum, emitter) => sum + emitter.eventNames().reduce((own, name) => own + emitter.listenerCount(name), 0),
    0,
  );
  return {
    logins: clients.reduce((sum, client) => sum + client.logins, 0),
    sessions,
    heap: process.memoryUsage().heapUsed,
    handles: process.getActiveResourcesInfo().length,
    listeners,
    files: openFiles(),
  };
}

function row(cells: readonly (number | string)[]): string {
  return cells.map((cell) => String(cell).padStart(11)).join('');
}

const median = (numbers: readonly number[]): number => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;

/** What still grows: the last third beside the one before. */
function problemsOf(samples: readonly Sample[]): string[] {
  const third = Math.floor(samples.length / 3);
  const [before, last] = [samples.slice(-2 * third, -third), samples.slice(-third)];
  const growth = (key: keyof Sample): number => median(last.map((one) => one[key])) - median(before.map((one) => one[key]));
  print(
    `  heap in the last third: ${(median(last.map(({ heap }) => heap)) / 1024 ** 2).toFixed(1)} MB, ${growth('heap')} bytes more than before`,
  );
  return [
    ...(growth('heap') > HEAP_MAY_GROW ? [`the heap still grows: by ${growth('heap')} bytes (at most ${HEAP_MAY_GROW})`] : []),
    ...(['handles', 'listeners', 'files'] as const)
      .filter((key) => growth(key) > COUNT_MAY_GROW)
      .map((key) => `${key} grow: by ${growth(key)} (at most ${COUNT_MAY_GROW})`),
  ];
}

async function soak(name: string, options: ServerSessionOptions, seconds: number): Promise<string[]> {
  // Those who never come back are gone again soon enough that their number stands still in the last two thirds.
  const lifetime = Math.max(1, Math.round(seconds / 12));
  @Module({
    imports: [ServerSessionModule.forRoot({ ...options, storeTimeout: '20s', lifetime, purge: { interval: Math.max(1, lifetime / 5) } })],
    controllers: [ShopController],
  })
  class Application {}
  const app = await NestFactory.create(Application, { logger: ['error', 'warn'] });
  await app.listen(0, '127.0.0.1');
  // While samples are taken no request comes: the server must not close the connections meanwhile.
  (app.getHttpServer() as Server).keepAliveTimeout = 60_000;
  const agent = new Agent({ keepAlive: true, maxSockets: CLIENTS });
  try {
    const url = (await app.getUrl()).replace('[::1]', '127.0.0.1');
    const clients = Array.from({ length: CLIENTS }, () => new Client(url, agent));
    const samples: Sample[] = [];
    print(`\n${name}, ${seconds} s\n${row(['log-ins', 'sessions', 'heap MB', 'handles', 'listeners', 'files'])}`);
    for (let n = 0; n < SAMPLES; n++) {
      const end = performance.now() + (seconds * 1_000) / SAMPLES;
      await Promise.all(
        clients.map(async (client) => {
          do await client.user();
          while (performance.now() < end);
        }),
      );
      const one = await sample(app, clients);
      samples.push(one);
      print(row([one.logins, one.sessions, (one.heap / 1024 ** 2).toFixed(2), one.handles, one.listeners, one.files]));
    }
    print(`  ${clients.reduce((sum, { requests }) => sum + requests, 0)} requests`);
    return problemsOf(samples).map((problem) => `${name}: ${problem}`);
  } finally {
    agent.destroy();
    await app.close();
  }
}

const problems = await soak('memory', { type: 'memory' }, SECONDS / 2);
const server = await startRedis();
try {
  problems.push(...(await soak('redis', { type: 'redis', redis: { url: server.url }, keyPrefix: 'soak:' }, SECONDS / 2)));
} finally {
  await server.stop();
}
for (const problem of problems) process.stderr.write(`${problem}\n`);
if (problems.length > 0) process.exitCode = 1;

// This timer does not keep the process alive. It only fires when something else does.
setTimeout(() => {
  process.stderr.write(`the process does not end: ${process.getActiveResourcesInfo().join(', ')}\n`);
  process.exit(1);
}, MAY_TAKE_TO_EXIT).unref();
