import { Controller, Get, type INestApplication, Module, Post } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import request from 'supertest';
import { MissingPackageError, ServerSession, ServerSessionModule, type ServerSessionOptions, Session } from 'nestjs-server-session';

declare module 'nestjs-server-session' {
  interface SessionData {
    basket?: string[];
  }
}

@Controller('basket')
class BasketController {
  @Post()
  add(@Session() session: ServerSession): void {
    session.basket = [...(session.basket ?? []), 'tea'];
  }

  @Get()
  show(@Session('basket') basket: string[] = []): string[] {
    return basket;
  }
}

@Module({ imports: [ServerSessionModule.forRoot({ type: 'memory' })], controllers: [BasketController] })
class AppModule {}

describe('A basket in a session', () => {
  let app: INestApplication;

  beforeEach(async () => {
    const fixture = await Test.createTestingModule({ imports: [AppModule] }).compile();
    app = fixture.createNestApplication();
    await app.init();
  });
  afterEach(() => app.close());

  it('is kept for the client that filled it', async () => {
    const agent = request.agent(app.getHttpServer());
    await agent.post('/basket').expect(201);
    await agent.get('/basket').expect(200, ['tea']);
    await request(app.getHttpServer()).get('/basket').expect(200, []);
  });
});

describe('A back end whose package is not installed', () => {
  it.each<[ServerSessionOptions, string]>([
    [{ type: 'redis' }, 'npm install ioredis'],
    [{ type: 'memcached' }, 'npm install memcache-client'],
    [{ type: 'mongodb' }, 'npm install @nestjs/mongoose mongoose'],
    [{ type: 'typeorm' }, 'npm install @nestjs/typeorm typeorm'],
  ])('is named with the command that installs it (%o)', async (options, advice) => {
    const boot = Test.createTestingModule({ imports: [ServerSessionModule.forRoot(options)] }).compile();
    const error: unknown = await boot.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(MissingPackageError);
    expect(String(error)).toContain(advice);
  });
});
