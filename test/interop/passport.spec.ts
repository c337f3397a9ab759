import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  Body,
  type CanActivate,
  Controller,
  type ExecutionContext,
  Get,
  HttpCode,
  Injectable,
  Module,
  Post,
  Req,
  UnauthorizedException,
  UseGuards,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { AuthGuard, PassportModule, PassportStrategy } from '@nestjs/passport';
import type { Request } from 'express';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import passport from 'passport';
import { Strategy as LocalStrategy } from 'passport-local';
import { Strategy as OAuth2Strategy } from 'passport-oauth2';
import { type ServerSession, ServerSessionModule, type ServerSessionOptions, Session, SessionService } from 'nestjs-server-session';
import { MemorySessionRepository } from '../../lib/repositories/memory/memory-session.repository.js';
import { Browser } from '../e2e/browser.js';

type User = { readonly name: string };

@Injectable()
class Local extends PassportStrategy(LocalStrategy) {
  validate(name: string, password: string): User {
    if (password !== 'secret') throw new UnauthorizedException();
    return { name };
  }
}

/** As the manual of Nest shows it: the guard logs in, so that the user is in the session. */
@Injectable()
class LoginGuard extends AuthGuard('local') {
  override async canActivate(context: ExecutionContext): Promise<boolean> {
    const result = (await super.canActivate(context)) as boolean;
    await super.logIn(context.switchToHttp().getRequest<Request>());
    return result;
  }
}

@Injectable()
class KeepingLoginGuard extends AuthGuard('local') {
  override getAuthenticateOptions(): object {
    return { keepSessionInfo: true };
  }

  override async canActivate(context: ExecutionContext): Promise<boolean> {
    const request = context.switchToHttp().getRequest<Request>();
    const result = (await super.canActivate(context)) as boolean;
    await new Promise<void>((resolve, reject) => {
      request.logIn(request.user!, { keepSessionInfo: true } as never, (error: unknown) => (error ? reject(error as Error) : resolve()));
    });
    return result;
  }
}

@Injectable()
class SignedIn implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    return context.switchToHttp().getRequest<Request>().isAuthenticated();
  }
}

@Controller()
class AccountController {
  @Post('cart') add(@Session() session: ServerSession, @Body('item') item: string): string[] {
    session.set('basket', [...session.get<string[]>('basket', []), item]);
    return session.get('basket', []);
  }

  @Get('cart') show(@Session('basket') basket: string[] = []): string[] {
    return basket;
  }

  @UseGuards(LoginGuard) @HttpCode(200) @Post('login') logIn(@Req() request: Request): unknown {
    return request.user;
  }

  @UseGuards(KeepingLoginGuard) @HttpCode(200) @Post('login-keep') logInAndKeep(@Req() request: Request): unknown {
    return request.user;
  }

  @UseGuards(SignedIn) @Get('me') me(@Req() request: Request): unknown {
    return request.user;
  }

  @HttpCode(200) @Post('logout') async logOut(@Req() request: Request): Promise<boolean> {
    await new Promise<void>((resolve, reject) => request.logout((error: unknown) => (error ? reject(error as Error) : resolve())));
    return request.isAuthenticated();
  }

  @UseGuards(AuthGuard('oauth2')) @Get('oauth') oauth(@Req() request: Request): unknown {
    return request.user;
  }
}

/** An OAuth 2 provider that grants everything: it sends the browser back with a code, and gives a token for it. */
class Provider {
  private constructor(private readonly server: Server) {}

  static async start(): Promise<Provider> {
    const server = createServer((request, response) => {
      const url = new URL(request.url ?? '/', 'http://provider');
      if (url.pathname === '/token') {
        response.setHeader('content-type', 'application/json');
        response.end(JSON.stringify({ access_token: 'token', token_type: 'bearer' }));
        return;
      }
      const back = new URL(url.searchParams.get('redirect_uri') ?? '');
      back.searchParams.set('code', 'code');
      back.searchParams.set('state', url.searchParams.get('state') ?? '');
      response.writeHead(302, { location: back.href }).end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new Provider(server);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

describe('Passport on Express', () => {
  let app: NestExpressApplication;
  let repository: MemorySessionRepository;
  let browser: Browser;
  let url: string;
  let provider: Provider | undefined;

  const start = async (given: ServerSessionOptions = {}): Promise<void> => {
    repository = new MemorySessionRepository();
    @Module({
      imports: [PassportModule, ServerSessionModule.forRoot({ repository, earlyLoad: true, ...given })],
      controllers: [AccountController],
      providers: [Local],
    })
    class AppModule {}
    app = await NestFactory.create<NestExpressApplication>(AppModule, { logger: ['error'] });
    app.use(passport.initialize());
    app.use(passport.session());
    await app.listen(0, '127.0.0.1');
    url = await app.getUrl();
    browser = new Browser(url);
  };
  beforeEach(async () => {
    passport.serializeUser((user, done) => done(null, (user as User).name));
    passport.deserializeUser((name: string, done) => done(null, { name }));
    await start();
  });
  afterEach(async () => {
    await app.close();
    await provider?.close();
    provider = undefined;
  });

  const post = (path: string, body: object = {}): ReturnType<Browser['post']> => browser.post(path, body);
  const logIn = (path = 'login', password = 'secret'): ReturnType<Browser['post']> => post(path, { username: 'ada', password });

  it('logs in, finds the user in later requests, and logs out', async () => {
    expect((await browser.get('me')).status).toBe(403);
    expect((await logIn()).json).toEqual({ name: 'ada' });
    expect((await browser.get('me')).json).toEqual({ name: 'ada' });
    expect((await post('logout')).text).toBe('false');
    expect((await browser.get('me')).status).toBe(403);
  });

  it('gives a new id with the log-in: the old one is dead at once, and nothing that was planted before survives', async () => {
    await post('cart', { item: 'planted' });
    const planted = browser.clone();
    await logIn();
    expect((await browser.get('cart')).json).toEqual([]);
    expect((await planted.get('cart')).json).toEqual([]);
    expect(await repository.count({})).toBe(1);
  });

  it('keeps the data with keepSessionInfo, under a new id', async () => {
    await post('cart', { item: 'tea' });
    const before = browser.clone();
    expect((await logIn('login-keep')).json).toEqual({ name: 'ada' });
    expect((await browser.get('cart')).json).toEqual(['tea']);
    expect((await browser.get('me')).json).toEqual({ name: 'ada' });
    expect((await before.get('cart')).json).toEqual([]);
  });

  it('refuses a wrong password, and changes nothing', async () => {
    await post('cart', { item: 'tea' });
    expect((await logIn('login', 'wrong')).status).toBe(401);
    expect((await browser.get('cart')).json).toEqual(['tea']);
    expect((await browser.get('me')).status).toBe(403);
  });

  it("signs out everywhere, where the serializer sets the session's principal", async () => {
    passport.serializeUser((request: unknown, user: unknown, done: (error: null, id: string) => void) => {
      ((request as Request).session as unknown as ServerSession).principal = (user as User).name;
      done(null, (user as User).name);
    });
    await app.close();
    const { name } = { name: 'ada' };
    // Passport asks all serializers in turn: only the one with the request is wanted here.
    Object.assign(passport, { _serializers: (passport as unknown as { _serializers: unknown[] })._serializers.slice(-1) });
    await start();
    await logIn();
    const service = app.get(SessionService);
    expect(await service.count({ principal: name })).toBe(1);
    await service.revokeAll({ principal: name });
    expect((await browser.get('me')).status).toBe(403);
    Object.assign(passport, { _serializers: [] });
  });

  it('checks the state of OAuth 2 in the session', async () => {
    provider = await Provider.start();
    const strategy = new OAuth2Strategy(
      {
        authorizationURL: `${provider.url}/authorize`,
        tokenURL: `${provider.url}/token`,
        clientID: 'client',
        clientSecret: 'secret',
        callbackURL: `${url}/oauth`,
        state: true,
      },
      (_access: string, _refresh: string, _profile: unknown, done: (error: null, user: User) => void) => done(null, { name: 'ada' }),
    );
    passport.use(strategy);
    const first = await browser.get('oauth');
    expect(first.status).toBe(302);
    const back = await fetch(first.headers.get('location') ?? '', { redirect: 'manual' });
    const callback = new URL(back.headers.get('location') ?? '');
    expect((await browser.get(`oauth${callback.search}`)).json).toEqual({ name: 'ada' });
    const forged = new URLSearchParams({ code: 'code', state: 'forged' });
    expect((await new Browser(url).get(`oauth?${forged.toString()}`)).status).toBe(401);
  });
});

describe('Passport without the option earlyLoad', () => {
  it('says which option to set', async () => {
    @Module({
      imports: [PassportModule, ServerSessionModule.forRoot({ type: 'memory' })],
      controllers: [AccountController],
      providers: [Local],
    })
    class AppModule {}
    const app = await NestFactory.create<NestExpressApplication>(AppModule, { logger: false });
    const lines: unknown[] = [];
    app.useLogger({ log: (line) => lines.push(line), warn: (line) => lines.push(line), error: (line) => lines.push(line) });
    app.use(passport.initialize());
    app.use(passport.session());
    await app.listen(0, '127.0.0.1');
    const response = await fetch(await app.getUrl());
    await app.close();
    expect([response.status, lines.join('\n')]).toEqual([500, expect.stringContaining("the option 'earlyLoad'")]);
  });
});
