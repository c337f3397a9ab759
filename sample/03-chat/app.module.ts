import { Module } from '@nestjs/common';
import { ServerSessionModule, sessionOptionsFromEnv } from 'nestjs-server-session';
import { ChatController } from './chat.controller.js';
import { ChatGateway } from './chat.gateway.js';

@Module({
  imports: [ServerSessionModule.forRoot({ type: 'filesystem', ...sessionOptionsFromEnv(process.env) })],
  controllers: [ChatController],
  providers: [ChatGateway],
})
export class AppModule {}
