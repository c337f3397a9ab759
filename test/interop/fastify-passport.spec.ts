import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Authenticator } from '@fastify/passport';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Strategy as LocalStrategy } from 'passport-local';
import { type ServerSession, ServerSessionModule } from 'nestjs-server-session';
import { MemorySessionRepository } from '../../lib/repositories/memory/memory-session.repository.js';
import { Browser } from '../e2e/browser.js';

type Data = ServerSession & Record<string, unknown>;

describe('@fastify/passport', () => {
  let app: NestFastifyApplication;
  let repository: MemorySessionRepository;
  let browser: Browser;

  beforeEach(async () => {
    repository = new MemorySessionRepository();
    @Module({ imports: [ServerSessionModule.forRoot({ repository, earlyLoad: true })] })
    class AppModule {}
    app = await NestFactory.create<NestFastifyApplication>(AppModule, new FastifyAdapter(), { logger: ['error'] });
    const passport = new Authenticator({ clearSessionIgnoreFields: ['kept'] });
    passport.use('local', new LocalStrategy((name, password, done) => done(null, password === 'secret' ? { name } : false)) as never);
    passport.registerUserSerializer(async (user: { name: string }) => user.name);
    passport.registerUserDeserializer(async (name: string) => ({ name }));
    // As its manual shows it, with ours in the place of the session plugin.
    await app.register(passport.initialize() as never);
    await app.register(passport.secureSession() as never);
    const fastify = app.getHttpAdapter().getInstance();
    fastify.post('/login', { preValidation: passport.authenticate('local', { authInfo: false }) as never }, (request) => request.user);
    fastify.get('/me', (request, reply) => (request.isAuthenticated() ? request.user : reply.code(403).send()));
    fastify.post('/logout', (request) => request.logOut().then(() => 'bye'));
    fastify.post('/plant', (request, reply) => {
      Object.assign(request.session as unknown as Data, { planted: 1, kept: 2 });
      return reply.send('planted');
    });
    fastify.get('/data', (request, reply) => reply.send({ ...(request.session as unknown as Data) }));
    await app.listen(0, '127.0.0.1');
    browser = new Browser(await app.getUrl());
  });
  afterEach(() => app.close());

  it('logs in, finds the user in later requests, and logs out', async () => {
    expect((await browser.get('me')).status).toBe(403);
    expect((await browser.post('login', { username: 'ada', password: 'wrong' })).status).toBe(401);
    expect((await browser.post('login', { username: 'ada', password: 'secret' })).json).toEqual({ name: 'ada' });
    expect((await browser.get('me')).json).toEqual({ name: 'ada' });
    await browser.post('logout', {});
    expect((await browser.get('me')).status).toBe(403);
  });

  it('gives a new id with the log-in; of what was there before it keeps the keys that its options name', async () => {
    await browser.post('plant', {});
    const before = browser.clone();
    await browser.post('login', { username: 'ada', password: 'secret' });
    const data = (await browser.get('data')).json as Record<string, unknown>;
    expect([data['planted'], data['kept']]).toEqual([undefined, 2]);
    expect((await before.get('data')).json).toEqual({});
    expect(await repository.count({})).toBe(1);
  });
});
