import fastifyCookie from '@fastify/cookie';
import fastifyCsrf from '@fastify/csrf-protection';
import { afterEach, describe, expect, it } from '@jest/globals';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Body, Controller, Get, HttpCode, Post, Req, Res } from '@nestjs/common';
import flash from 'connect-flash';
import cookieParser from 'cookie-parser';
import { doubleCsrf } from 'csrf-csrf';
import { csrfSync } from 'csrf-sync';
import type { Request, RequestHandler, Response } from 'express';
import grant from 'grant';
import { type ServerSession, Session } from 'nestjs-server-session';
import { Browser } from '../e2e/browser.js';
import { closeAll, moduleOf, serve, start, whenDone } from './support/applications.js';

afterEach(closeAll);

const EARLY = { earlyLoad: true } as const;

describe('csrf-sync', () => {
  const { csrfSynchronisedProtection, generateToken } = csrfSync();

  @Controller()
  class FormController {
    @Get('token') token(@Req() request: Request): string {
      return generateToken(request);
    }

    @HttpCode(200) @Post('form') submit(@Session() session: ServerSession): string {
      session.set('submitted', true);
      return 'done';
    }
  }

  it('keeps its token in the session, and refuses a form without it', async () => {
    const browser = await start({ options: EARLY, controllers: [FormController] }, (app) => app.use(csrfSynchronisedProtection));
    const { text: token } = await browser.get('token');
    expect((await browser.post('form', {})).status).toBe(403);
    expect((await browser.post('form', {}, { 'x-csrf-token': token })).text).toBe('done');
    expect((await new Browser(browser.url).post('form', {}, { 'x-csrf-token': token })).status).toBe(403);
  });
});

describe('csrf-csrf', () => {
  const { doubleCsrfProtection, generateCsrfToken } = doubleCsrf({
    getSecret: () => 'a secret of the application',
    getSessionIdentifier: (request) => (request as unknown as { session: ServerSession }).session.handle,
    cookieName: 'csrf',
    cookieOptions: { secure: false },
    getCsrfTokenFromRequest: (request) => request.headers['x-csrf-token'] as string | undefined,
  });

  @Controller()
  class FormController {
    @Get('token') token(
      @Session() session: ServerSession,
      @Req() request: Request,
      @Res({ passthrough: true }) response: Response,
    ): string {
      session.set('visited', true);
      return generateCsrfToken(request, response);
    }

    @Get('anonymous-token') anonymousToken(@Req() request: Request, @Res({ passthrough: true }) response: Response): string {
      return generateCsrfToken(request, response);
    }

    @HttpCode(200) @Post('form') submit(): string {
      return 'done';
    }

    @HttpCode(200) @Post('login') async logIn(@Session() session: ServerSession): Promise<void> {
      session.principal = 'ada';
    }
  }

  const open = (): Promise<Browser> =>
    start({ options: EARLY, controllers: [FormController] }, (app) => {
      app.use(cookieParser());
      app.use(doubleCsrfProtection);
    });

  it('binds its token to the handle of a session that has something in it', async () => {
    const browser = await open();
    const { text: token } = await browser.get('token');
    expect((await browser.post('form', {})).status).toBe(403);
    expect((await browser.post('form', {}, { 'x-csrf-token': token })).text).toBe('done');
    const other = browser.clone();
    other.jar.delete('session');
    expect((await other.post('form', {}, { 'x-csrf-token': token })).status).toBe(403);
  });

  it('does not find again a session that is empty, because that one is neither stored nor sent', async () => {
    const browser = await open();
    const { text: token } = await browser.get('anonymous-token');
    expect((await browser.post('form', {}, { 'x-csrf-token': token })).status).toBe(403);
  });

  it('wants a new token after a log-in', async () => {
    const browser = await open();
    const { text: token } = await browser.get('token');
    await browser.post('login', {}, { 'x-csrf-token': token });
    expect((await browser.post('form', {}, { 'x-csrf-token': token })).status).toBe(403);
  });
});

describe('@fastify/csrf-protection', () => {
  it.each(['@fastify/session', '@fastify/secure-session', '@fastify/cookie'] as const)(
    "works with sessionPlugin: '%s'",
    async (sessionPlugin) => {
      const app = await NestFactory.create<NestFastifyApplication>(moduleOf({ options: EARLY }), new FastifyAdapter(), { logger: false });
      whenDone(() => app.close());
      await app.register(fastifyCookie as never);
      await app.register(fastifyCsrf as never, { sessionPlugin });
      const fastify = app.getHttpAdapter().getInstance();
      fastify.get('/token', (_request, reply) => reply.send(reply.generateCsrf()));
      fastify.post('/form', { preHandler: (...given) => fastify.csrfProtection(...given) }, (_request, reply) => reply.send('done'));
      await app.listen(0, '127.0.0.1');
      const browser = new Browser(await app.getUrl());
      const { text: token } = await browser.get('token');
      expect((await browser.post('form', {})).status).toBe(403);
      expect((await browser.post('form', {}, { 'x-csrf-token': token })).text).toBe('done');
      expect(browser.jar.has('session')).toBe(sessionPlugin !== '@fastify/cookie');
    },
  );
});

describe('connect-flash', () => {
  @Controller()
  class FlashController {
    @Post('by-connect-flash') old(@Req() request: Request): string {
      try {
        request.flash('info', 'saved');
      } catch (error) {
        return String(error);
      }
      return 'no error';
    }

    @Post('message') leave(@Session() session: ServerSession, @Body('message') message: string): void {
      session.flash('info', message);
    }

    @Get('messages') read(@Session() session: ServerSession): string[] {
      return session.flashes('info');
    }
  }

  it('is told what to use in its place, and that does the same', async () => {
    const browser = await start({ options: EARLY, controllers: [FlashController] }, (app) => app.use(flash()));
    expect((await browser.post('by-connect-flash', {})).text).toMatch(
      /ReservedSessionKeyError.*'flash'.*session\.flash\(kind, message\).*session\.flashes\(kind\)/,
    );
    await browser.post('message', { message: 'saved' });
    await browser.post('message', { message: 'sent' });
    expect((await browser.get('messages')).json).toEqual(['saved', 'sent']);
    expect((await browser.get('messages')).json).toEqual([]);
  });
});

describe('grant', () => {
  @Controller()
  class AccountController {
    @Get('signed-in') signedIn(@Session() session: ServerSession): unknown {
      return session.get<{ response?: { access_token?: string } }>('grant')?.response?.access_token ?? 'nobody';
    }
  }

  it('keeps the state of OAuth 2 in the session, and refuses it from another browser', async () => {
    const provider = await serve((_request, response) => {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ access_token: 'granted', token_type: 'bearer' }));
    });
    const browser = await start({ options: EARLY, controllers: [AccountController] }, (app) => {
      app.use(
        (grant as unknown as { express(config: object): RequestHandler }).express({
          defaults: { origin: 'http://127.0.0.1', transport: 'session', state: true, callback: '/signed-in' },
          small: {
            oauth: 2,
            authorize_url: `${provider}/authorize`,
            access_url: `${provider}/token`,
            key: 'client',
            secret: 'secret',
            response: ['tokens'],
          },
        }),
      );
    });
    const first = await browser.get('connect/small');
    const state = new URL(first.headers.get('location') ?? '').searchParams.get('state');
    expect(first.status).toBe(302);
    expect((await new Browser(browser.url).get(`connect/small/callback?code=code&state=${state}`)).text).not.toContain('granted');
    const back = await browser.get(`connect/small/callback?code=code&state=${state}`);
    expect(back.headers.get('location')).toBe('/signed-in');
    expect((await browser.get('signed-in')).text).toBe('granted');
  });
});
