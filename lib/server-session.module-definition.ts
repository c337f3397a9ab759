import { ConfigurableModuleBuilder } from '@nestjs/common';
import type { ServerSessionOptions } from './options/session-options.js';

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN, OPTIONS_TYPE, ASYNC_OPTIONS_TYPE } =
  new ConfigurableModuleBuilder<ServerSessionOptions>({ moduleName: 'ServerSession' })
    .setClassMethodName('forRoot')
    .setFactoryMethodName('createServerSessionOptions')
    .setExtras({ isGlobal: true }, (definition, { isGlobal }) => ({ ...definition, global: isGlobal }))
    .build();
