import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller, Get, Module } from '@nestjs/common';
import { type HealthCheckResult, HealthCheckService, TerminusModule } from '@nestjs/terminus';
import { Test } from '@nestjs/testing';
import type { INestApplication } from '@nestjs/common';
import { ServerSessionModule } from 'nestjs-server-session';
import { SessionHealthIndicator } from 'nestjs-server-session/health';
import { type Answer, Browser } from '../e2e/browser.js';
import { RecordingRepository } from '../e2e/recording.repository.js';

@Controller()
class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly sessions: SessionHealthIndicator,
  ) {}

  @Get('health') check(): Promise<HealthCheckResult> {
    return this.health.check([() => this.sessions.isHealthy('sessions')]);
  }
}

describe('SessionHealthIndicator', () => {
  const repository = new RecordingRepository();
  let app: INestApplication;
  const check = async (): Promise<Answer> => {
    @Module({
      imports: [TerminusModule.forRoot({ logger: false }), ServerSessionModule.forRoot({ repository, storeTimeout: '100ms' })],
      controllers: [HealthController],
      providers: [SessionHealthIndicator],
    })
    class Application {}
    const module = await Test.createTestingModule({ imports: [Application] }).compile();
    app = module.createNestApplication({ logger: false });
    await app.listen(0, '127.0.0.1');
    repository.calls = [];
    return new Browser(await app.getUrl()).get('health');
  };
  afterEach(async () => {
    repository.broken.clear();
    repository.hanging.clear();
    await app.close();
  });

  it('is up while the store answers, and asks it once', async () => {
    const { status, json } = await check();
    expect([status, json]).toMatchObject([200, { status: 'ok', info: { sessions: { status: 'up' } } }]);
    expect(repository.calls).toEqual(['read']);
  });

  it('is down when the store fails, and says nothing of why to everybody', async () => {
    repository.broken.add('read');
    const { status, json, text } = await check();
    expect([status, json]).toMatchObject([503, { error: { sessions: { status: 'down', message: 'SessionStoreError' } } }]);
    expect(text).not.toContain('fire');
  });

  it('is down when the store does not answer within storeTimeout', async () => {
    repository.hanging.add('read');
    const { status, json } = await check();
    expect([status, json]).toMatchObject([503, { error: { sessions: { message: 'SessionStoreTimeoutError' } } }]);
  });
});
