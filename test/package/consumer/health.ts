import 'reflect-metadata';
import { Controller, Get, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { HealthCheckService, TerminusModule } from '@nestjs/terminus';
import { ServerSessionModule } from 'nestjs-server-session';
import { SessionHealthIndicator } from 'nestjs-server-session/health';

@Controller('health')
class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly sessions: SessionHealthIndicator,
  ) {}

  @Get()
  check() {
    return this.health.check([() => this.sessions.isHealthy('sessions')]);
  }
}

@Module({
  imports: [ServerSessionModule.forRoot({ type: 'memory' }), TerminusModule],
  controllers: [HealthController],
  providers: [SessionHealthIndicator],
})
class AppModule {}

async function main(): Promise<void> {
  const app = await NestFactory.create(AppModule, { logger: ['error'], abortOnError: false });
  await app.listen(0, '127.0.0.1');
  console.log(`listening at ${await app.getUrl()}`);
}

void main();
