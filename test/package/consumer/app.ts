import 'reflect-metadata';
import { Controller, Get, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { type ServerSession, ServerSessionModule, type ServerSessionOptions, Session, sessionOptionsFromEnv } from 'nestjs-server-session';

declare module 'nestjs-server-session' {
  interface SessionData {
    basket?: string[];
  }
}

/** An application of a user, as small as can be; it is compiled and run with Nest 12 as ESM and with Nest 11 as CommonJS. */
@Controller()
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
}

/** What must not compile. */
export function mistakes(session: ServerSession): ServerSessionOptions[] {
  // @ts-expect-error the key is declared as an array of strings
  session.basket = 1;
  // @ts-expect-error the id is read-only
  session.sid = 'mine';
  // @ts-expect-error a lifetime is a number or a text
  return [{ lifetime: true }];
}

@Module({ imports: [ServerSessionModule.forRoot(sessionOptionsFromEnv(process.env))], controllers: [BasketController] })
class AppModule {}

async function main(): Promise<void> {
  const app = await NestFactory.create(AppModule, { logger: ['error'], abortOnError: false });
  await app.listen(0, '127.0.0.1');
  console.log(`listening at ${await app.getUrl()}`);
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
