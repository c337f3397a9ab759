import {
  type CallHandler,
  Controller,
  type ExecutionContext,
  Get,
  Inject,
  Injectable,
  type NestInterceptor,
  Param,
  Query,
  Req,
  Res,
  type Type,
  UseFilters,
  UseInterceptors,
} from '@nestjs/common';
import { Redis } from 'ioredis';
import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { mergeMap, type Observable } from 'rxjs';
import { ErrorFilter, PageQuery } from './application.js';
import { type Contender, LIFETIME, type StoreLocation } from './contender.js';
import { payloadOf } from './session.controller.js';

type Reply = { header(name: string, value: string): unknown };
type Data = { n: number; payload?: unknown };
type WithSession = IncomingMessage & { session: Data };

const NEW = '{"n":0}';

function keyOf(request: IncomingMessage): string {
  return `site:${/session=([\w-]+)/.exec(request.headers.cookie ?? '')?.[1] ?? ''}`;
}

async function begin(redis: Redis, bytes: number, reply: Reply): Promise<object> {
  const id = randomBytes(32).toString('base64url');
  await redis.set(`site:${id}`, JSON.stringify({ n: 0, payload: payloadOf(bytes) } satisfies Data), 'EX', LIFETIME);
  reply.header('set-cookie', `session=${id}; Path=/; HttpOnly`);
  return { ok: true };
}

/**
 * The least that anything can do: handlers that talk to Redis themselves, one command to read and one more to write, with no
 * check, no lock, no expiry of the cookie.
 */
export const bareHandlers: Contender = {
  controller: ({ location }: StoreLocation): Type => {
    const redis = new Redis(location);
    const load = async (key: string): Promise<Data> => JSON.parse((await redis.getex(key, 'EX', LIFETIME)) ?? NEW) as Data;

    @Controller()
    @UseFilters(ErrorFilter)
    class BareController {
      @Get('read') async read(@Req() request: IncomingMessage, @Query() { page }: PageQuery): Promise<object> {
        return { page, n: (await load(keyOf(request))).n };
      }
      @Get('change') async change(@Req() request: IncomingMessage, @Query() { page }: PageQuery): Promise<object> {
        const key = keyOf(request);
        const data = await load(key);
        data.n++;
        await redis.set(key, JSON.stringify(data), 'EX', LIFETIME);
        return { page, n: data.n };
      }
      @Get('fill/:bytes') fill(@Param('bytes') bytes: string, @Res({ passthrough: true }) reply: Reply): Promise<object> {
        return begin(redis, Number(bytes), reply);
      }
    }
    return BareController;
  },
};

const REDIS = Symbol('redis');

/** What a team writes that wants no library: loads the session before the handler, and stores it after where it is not as it was. */
@Injectable()
class HandWrittenInterceptor implements NestInterceptor {
  constructor(@Inject(REDIS) private readonly redis: Redis) {}

  async intercept(context: ExecutionContext, next: CallHandler): Promise<Observable<unknown>> {
    const request = context.switchToHttp().getRequest<WithSession>();
    const key = keyOf(request);
    const stored = (await this.redis.getex(key, 'EX', LIFETIME)) ?? NEW;
    request.session = JSON.parse(stored) as Data;
    return next.handle().pipe(
      mergeMap(async (answer: unknown) => {
        const data = JSON.stringify(request.session);
        if (data !== stored) await this.redis.set(key, data, 'EX', LIFETIME);
        return answer;
      }),
    );
  }
}

/** The same work in one interceptor of the application's own. What a session module costs is what it costs beyond this. */
export const handWrittenInterceptor: Contender = {
  providers: ({ location }) => [{ provide: REDIS, useValue: new Redis(location) }],
  controller: (): Type => {
    @Controller()
    @UseFilters(ErrorFilter)
    class InterceptedController {
      constructor(@Inject(REDIS) private readonly redis: Redis) {}

      @Get('read')
      @UseInterceptors(HandWrittenInterceptor)
      read(@Req() { session }: WithSession, @Query() { page }: PageQuery): object {
        return { page, n: session.n };
      }
      @Get('change')
      @UseInterceptors(HandWrittenInterceptor)
      change(@Req() { session }: WithSession, @Query() { page }: PageQuery): object {
        session.n++;
        return { page, n: session.n };
      }
      @Get('fill/:bytes') fill(@Param('bytes') bytes: string, @Res({ passthrough: true }) reply: Reply): Promise<object> {
        return begin(this.redis, Number(bytes), reply);
      }
    }
    return InterceptedController;
  },
};

/** No session at all. */
export const noSession: Contender = {};
