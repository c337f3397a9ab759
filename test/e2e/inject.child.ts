// Jest cannot load what Fastify's inject() needs (an ES module that is required), so its requests are made here. Prints the answers as JSON.
import 'reflect-metadata';
import {
  Controller,
  ForbiddenException,
  Get,
  HttpException,
  type MiddlewareConsumer,
  Module,
  type NestModule,
  Query,
  Req,
  Res,
  StreamableFile,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { Readable } from 'node:stream';
import { type ServerSession, ServerSessionModule, Session, SessionService } from 'nestjs-server-session';

declare module 'nestjs-server-session' {
  interface SessionData {
    n?: number;
  }
}

const count = (session: ServerSession): number => (session.n = (session.n ?? 0) + 1);

@Controller()
class CounterController {
  @Get('value') value(@Session() session: ServerSession): { n: number } {
    return { n: count(session) };
  }
  @Get('request') request(@Req() { session }: { session: ServerSession }): { n: number } {
    return { n: count(session) };
  }
  @Get('throws') throws(@Session() session: ServerSession): never {
    throw new HttpException({ n: count(session) }, 418);
  }
  @Get('reply') reply(@Session() session: ServerSession, @Res() reply: { send(body: object): void }): void {
    reply.send({ n: count(session) });
  }
  @Get('stream') stream(@Session() session: ServerSession): StreamableFile {
    return new StreamableFile(Readable.from([JSON.stringify({ n: count(session) })]));
  }
  @Get('middleware') middleware(@Session('n') n: number): { n: number } {
    return { n };
  }
  @Get('unused') unused(@Query('page') page?: string): object {
    return { page };
  }
}

@Module({ imports: [ServerSessionModule.forRoot({ type: 'memory' })], controllers: [CounterController] })
class CounterModule implements NestModule {
  constructor(private readonly sessions: SessionService) {}

  configure(consumer: MiddlewareConsumer): void {
    const counting = async (request: object, _response: unknown, proceed: (error?: unknown) => void): Promise<void> => {
      count(await this.sessions.load(request));
      proceed();
    };
    const refusing = async (request: object, _response: unknown, proceed: (error?: unknown) => void): Promise<void> => {
      count(await this.sessions.load(request));
      proceed(new ForbiddenException());
    };
    consumer.apply(counting).forRoutes('middleware');
    consumer.apply(refusing).forRoutes('refused');
  }
}

async function boot(how: string): Promise<NestFastifyApplication> {
  const adapter = new FastifyAdapter();
  const app =
    how === 'NestFactory.create'
      ? await NestFactory.create<NestFastifyApplication>(CounterModule, adapter, { logger: false, abortOnError: false })
      : (await Test.createTestingModule({ imports: [CounterModule] }).compile()).createNestApplication<NestFastifyApplication>(adapter, {
          logger: false,
        });
  await app.init();
  await app.getHttpAdapter().getInstance().ready();
  return app;
}

const app = await boot(process.argv[2] ?? '');
const ask = async (path: string, cookie?: string) => {
  const { statusCode, headers, body } = await app.inject({ method: 'GET', url: path, headers: cookie === undefined ? {} : { cookie } });
  const [set] = [headers['set-cookie']].flat();
  return { statusCode, vary: headers.vary, body: JSON.parse(body) as unknown, cookie: set?.split(';')[0] };
};
const answers: Record<string, unknown[]> = {};
for (const path of process.argv.slice(3)) {
  const first = await ask(path);
  const second = await ask(path, first.cookie);
  answers[path] = [first, second, await ask('/value', first.cookie)];
}
process.stdout.write(JSON.stringify(answers));
await app.close();
