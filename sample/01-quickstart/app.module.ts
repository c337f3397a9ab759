import { Module } from '@nestjs/common';
import { ServerSessionModule, sessionOptionsFromEnv } from 'nestjs-server-session';
import { ApiController } from './api.controller.js';
import { PageController } from './page.controller.js';
import { ShopService } from './shop.service.js';

@Module({
  imports: [ServerSessionModule.forRoot({ type: 'filesystem', ...sessionOptionsFromEnv(process.env) })],
  controllers: [PageController, ApiController],
  providers: [ShopService],
})
export class AppModule {}
