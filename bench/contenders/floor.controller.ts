import { Controller, Get, Param, Req, Res, type Type } from '@nestjs/common';
import { Redis } from 'ioredis';
import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { LIFETIME, type StoreLocation } from './contender.js';
import { payloadOf } from './session.controller.js';

type Reply = { header(name: string, value: string): unknown };
type Data = { n: number; payload: unknown };

/**
 * The least that anything can do: a handler that talks to Redis itself, one command to read and one more to write, with no
 * check, no lock, no expiry of the cookie. What a session module costs is what it costs beyond this.
 */
export function floorController({ location }: StoreLocation): Type {
  const redis = new Redis(location);
  const keyOf = (request: IncomingMessage): string => `floor:${/session=([\w-]+)/.exec(request.headers.cookie ?? '')?.[1] ?? ''}`;
  const load = async (key: string): Promise<Data> => JSON.parse((await redis.getex(key, 'EX', LIFETIME)) ?? '{"n":0}') as Data;

  @Controller()
  class FloorController {
    @Get('unused') unused(): object {
      return { ok: true };
    }
    @Get('read') async read(@Req() request: IncomingMessage): Promise<object> {
      return { n: (await load(keyOf(request))).n };
    }
    @Get('change') async change(@Req() request: IncomingMessage): Promise<object> {
      const key = keyOf(request);
      const data = await load(key);
      data.n++;
      await redis.set(key, JSON.stringify(data), 'EX', LIFETIME);
      return { n: data.n };
    }
    @Get('fill/:bytes') async fill(@Param('bytes') bytes: string, @Res({ passthrough: true }) reply: Reply): Promise<object> {
      const id = randomBytes(32).toString('base64url');
      await redis.set(`floor:${id}`, JSON.stringify({ n: 0, payload: payloadOf(Number(bytes)) } satisfies Data), 'EX', LIFETIME);
      reply.header('set-cookie', `session=${id}; Path=/; HttpOnly`);
      return { ok: true };
    }
  }
  return FloorController;
}

/** No session at all. */
export function noneController(): Type {
  @Controller()
  class NoneController {
    @Get('unused') unused(): object {
      return { ok: true };
    }
  }
  return NoneController;
}
