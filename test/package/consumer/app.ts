import 'reflect-metadata';
import { Controller, Get, type INestApplication, Module, VERSION_NEUTRAL } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ClientProxyFactory, MessagePattern, type TcpClientOptions, Transport } from '@nestjs/microservices';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { lastValueFrom } from 'rxjs';
import { type ServerSession, ServerSessionModule, type ServerSessionOptions, Session } from 'nestjs-server-session';

declare module 'nestjs-server-session' {
  interface SessionData {
    basket?: string[];
  }
}

/** An application of a user, compiled and run in every constellation. What it is to be stands in its environment. */
const { SESSION_OPTIONS = '{ "type": "memory" }', ADAPTER = 'express', SHAPE = 'plain', RPC_PORT = '0' } = process.env;

const rpc: TcpClientOptions = { transport: Transport.TCP, options: { host: '127.0.0.1', port: Number(RPC_PORT) } };

@Controller({ version: ['1', VERSION_NEUTRAL] })
class BasketController {
  @Get()
  add(@Session() session: ServerSession): string[] {
    session.basket = [...(session.basket ?? []), 'tea'];
    return session.basket;
  }

  @Get('one')
  one(@Session('basket') basket: string[] = []): number {
    return basket.length;
  }

  /** Asks the other half of a hybrid application, with the session of the request. */
  @Get('price')
  async price(@Session('basket') basket: string[] = []): Promise<number> {
    const client = ClientProxyFactory.create(rpc);
    try {
      return await lastValueFrom(client.send<number>('price', basket));
    } finally {
      await client.close();
    }
  }

  @MessagePattern('price')
  priceOf(basket: string[]): number {
    return basket.length * 3;
  }
}

/** What must not compile. */
export function mistakes(session: ServerSession): ServerSessionOptions[] {
  // @ts-expect-error the key is declared as an array of strings
  session.basket = 1;
  // @ts-expect-error the id is read-only
  session.sid = 'mine';
  // @ts-expect-error a lifetime is a number or a string
  return [{ lifetime: true }];
}

@Module({ imports: [ServerSessionModule.forRoot(JSON.parse(SESSION_OPTIONS) as ServerSessionOptions)], controllers: [BasketController] })
class AppModule {}

async function create(): Promise<INestApplication> {
  const options = { logger: ['error'] as 'error'[], abortOnError: false };
  if (SHAPE === 'http2') return NestFactory.create(AppModule, new FastifyAdapter({ http2: true }), options);
  if (ADAPTER === 'fastify') return NestFactory.create(AppModule, new FastifyAdapter(), options);
  return NestFactory.create(AppModule, options);
}

async function main(): Promise<void> {
  const app = await create();
  if (SHAPE === 'versioned') app.setGlobalPrefix('api').enableVersioning();
  if (SHAPE === 'hybrid') {
    app.connectMicroservice(rpc, { inheritAppConfig: true });
    await app.startAllMicroservices();
  }
  await app.listen(0, '127.0.0.1');
  console.log(`listening at ${await app.getUrl()}`);
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
