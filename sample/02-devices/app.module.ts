import { Module } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { ServerSessionModule, sessionOptionsFromEnv } from 'nestjs-server-session';
import { AdminController } from './admin.controller.js';
import { noteDevice } from './device.js';
import { DevicesController } from './devices.controller.js';
import { DevicesService } from './devices.service.js';
import { ErrorPageFilter } from './error-page.filter.js';
import { LiveCounts } from './live-counts.service.js';

@Module({
  imports: [ServerSessionModule.forRoot({ type: 'filesystem', ...sessionOptionsFromEnv(process.env), meta: noteDevice })],
  controllers: [DevicesController, AdminController],
  providers: [DevicesService, LiveCounts, { provide: APP_FILTER, useClass: ErrorPageFilter }],
})
export class AppModule {}
