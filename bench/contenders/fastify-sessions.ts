import fastifyCookie from '@fastify/cookie';
import fastifySession from '@fastify/session';
import mgcreaSession from '@mgcrea/fastify-session';
import { RedisStore as MgcreaRedisStore } from '@mgcrea/fastify-session-redis-store';
import { SODIUM_AUTH } from '@mgcrea/fastify-session-sodium-crypto';
import { RedisStore } from 'connect-redis';
import { Redis } from 'ioredis';
import { Controller, Get, Query, Req, type Type, UseFilters } from '@nestjs/common';
import { randomBytes } from 'node:crypto';
import { createClient } from 'redis';
import { ErrorFilter, PageQuery } from './application.js';
import { type Contender, LIFETIME } from './contender.js';
import { payloadOf, requestSessionController } from './session.controller.js';

const SECRET = 'a secret of the benchmark, long enough for everybody';

/**
 * @fastify/session with connect-redis, as its documentation shows it. `rolling` is off, which is its faster setting: by default it
 * writes the whole session again at each request.
 */
export const fastifySessionContender: Contender = {
  controller: requestSessionController,
  configure: async (app, { location }) => {
    const client = createClient({ url: location });
    await client.connect();
    await app.register(fastifyCookie as never);
    await app.register(fastifySession as never, {
      secret: SECRET,
      cookieName: 'session',
      saveUninitialized: false,
      rolling: false,
      cookie: { maxAge: LIFETIME * 1000, secure: false },
      store: new RedisStore({ client }),
    });
  },
};

/**
 * @mgcrea/fastify-session with its Redis store and libsodium, as its documentation has it for production. Its session is read
 * by `get` and written by `set`.
 */
export const mgcreaContender: Contender = {
  controller: () => mgcreaController(),
  configure: async (app, { location }) => {
    await app.register(fastifyCookie as never);
    await app.register(mgcreaSession as never, {
      key: randomBytes(32),
      crypto: SODIUM_AUTH,
      cookieName: 'session',
      saveUninitialized: false,
      cookie: { maxAge: LIFETIME, secure: false },
      store: new MgcreaRedisStore({ client: new Redis(location), ttl: LIFETIME }),
    });
  },
};

function mgcreaController(): Type {
  type WithSession = { session: { get(key: string): unknown; set(key: string, value: unknown): void } };

  @Controller()
  @UseFilters(ErrorFilter)
  class MgcreaController {
    @Get('read') read(@Req() { session }: WithSession, @Query() { page }: PageQuery): object {
      return { page, n: session.get('n') ?? null };
    }
    @Get('change') change(@Req() { session }: WithSession, @Query() { page }: PageQuery): object {
      const n = ((session.get('n') as number | undefined) ?? 0) + 1;
      session.set('n', n);
      return { page, n };
    }
    @Get('fill/:bytes') fill(@Req() request: WithSession & { params: { bytes: string } }): object {
      request.session.set('payload', payloadOf(Number(request.params.bytes)));
      request.session.set('n', 0);
      return { ok: true };
    }
  }
  return MgcreaController;
}
