import { Controller, Get, Param, Query, Req, type Type, UseFilters } from '@nestjs/common';
import { type ServerSession, Session } from 'nestjs-server-session';
import { ErrorFilter, PageQuery } from './application.js';

declare module 'nestjs-server-session' {
  interface SessionData {
    n?: number;
    payload?: unknown;
  }
}

/** Something with the shape of what sites keep: a list of small objects, about so many bytes of JSON. */
export function payloadOf(bytes: number): unknown {
  const items: { id: number; name: string; price: number; tags: string[] }[] = [];
  for (let id = 0; JSON.stringify(items).length < bytes; id++) items.push({ id, name: `article ${id}`, price: id * 1.5, tags: ['a', 'b'] });
  return items;
}

/** The routes on `req.session`, as Express' and Fastify's session libraries have it. */
export function requestSessionController(): Type {
  type WithSession = { session: Record<string, unknown> & { n?: number } };

  @Controller()
  @UseFilters(ErrorFilter)
  class RequestSessionController {
    @Get('read') read(@Req() { session }: WithSession, @Query() { page }: PageQuery): object {
      return { page, n: session.n ?? null };
    }
    @Get('change') change(@Req() { session }: WithSession, @Query() { page }: PageQuery): object {
      session.n = (session.n ?? 0) + 1;
      return { page, n: session.n };
    }
    @Get('fill/:bytes') fill(@Req() request: WithSession & { params: { bytes: string } }): object {
      request.session['payload'] = payloadOf(Number(request.params.bytes));
      request.session.n = 0;
      return { ok: true };
    }
  }
  return RequestSessionController;
}

/** The same routes on this module's session. */
export function serverSessionController(): Type {
  @Controller()
  @UseFilters(ErrorFilter)
  class ServerSessionController {
    @Get('read') read(@Session() session: ServerSession, @Query() { page }: PageQuery): object {
      return { page, n: session.n ?? null };
    }
    @Get('change') change(@Session() session: ServerSession, @Query() { page }: PageQuery): object {
      session.n = (session.n ?? 0) + 1;
      return { page, n: session.n };
    }
    @Get('fill/:bytes') fill(@Session() session: ServerSession, @Param('bytes') bytes: string): object {
      session.payload = payloadOf(Number(bytes));
      session.n = 0;
      return { ok: true };
    }
  }
  return ServerSessionController;
}
