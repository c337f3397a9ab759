import 'reflect-metadata';
import { Body, Controller, Get, type INestApplication, type LoggerService, Module, Param, Post } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { ServerSession, ServerSessionModule, type ServerSessionOptions, Session } from 'nestjs-server-session';

@Controller()
class ShopController {
  @Get('me')
  me(@Session() session: ServerSession): object {
    const { passport, principal } = session as ServerSession & { passport?: { user?: string } };
    return { user: passport?.user ?? null, principal: principal ?? null, cart: session.get('cart') ?? [] };
  }

  @Get('flashes')
  flashes(@Session() session: ServerSession): object {
    return session.flashes();
  }

  @Get('data')
  data(@Session() session: ServerSession): object {
    return Object.fromEntries(session.entries().map(([key, value]) => [key, describe(value)]));
  }

  @Post('cart/:item')
  add(@Session() session: ServerSession, @Param('item') item: string): unknown {
    session.set('cart' as string, [...itemsOf(session.get('cart')), item]);
    return session.get('cart');
  }

  @Post('keys/:key')
  note(@Session() session: ServerSession, @Param('key') key: string): object {
    session.set(key, true);
    return {};
  }

  @Post('login')
  login(@Session() session: ServerSession, @Body() body: { username: string }): object {
    session.principal = body.username;
    return {};
  }

  @Post('logout')
  async logout(@Session() session: ServerSession): Promise<object> {
    await session.destroy();
    return {};
  }

  @Get('nothing')
  nothing(): object {
    return {};
  }
}

/** The new application, on this library. */
export interface Shop {
  readonly app: INestApplication;
  readonly url: string;
  /** What it has logged, without debug output. */
  readonly log: readonly string[];
  close(): Promise<void>;
}

export async function startShop(session: ServerSessionOptions, adapter: 'express' | 'fastify' = 'express'): Promise<Shop> {
  @Module({ imports: [ServerSessionModule.forRoot(session)], controllers: [ShopController] })
  class ShopModule {}

  const log: string[] = [];
  const note = (message: unknown): void => void log.push(String(message));
  const logger: LoggerService = { log: () => undefined, error: note, warn: note };
  const http = adapter === 'fastify' ? new FastifyAdapter() : new ExpressAdapter();
  const app = await NestFactory.create(ShopModule, http, { logger, abortOnError: false });
  await app.listen(0, '127.0.0.1');
  return { app, url: (await app.getUrl()).replace('[::1]', '127.0.0.1'), log, close: () => app.close() };
}

/** What JSON cannot show: the class of a value, and its content. */
function describe(value: unknown): unknown {
  if (value instanceof Date) return `Date ${value.toISOString()}`;
  if (value instanceof Set) return `Set ${[...value].sort().join()}`;
  if (value instanceof Uint8Array) return `Uint8Array ${[...value].join()}`;
  return value;
}

function itemsOf(cart: unknown): unknown[] {
  return Array.isArray(cart) ? cart : [];
}
