import { Redis } from 'ioredis';
import { ServerSessionModule, type ServerSessionOptions } from 'nestjs-server-session';
import { type Contender, LIFETIME, type StoreLocation } from './contender.js';
import { serverSessionController } from './session.controller.js';

function optionsFor({ store, location }: StoreLocation): ServerSessionOptions {
  switch (store) {
    case 'redis':
      return { type: 'redis', redis: { client: new Redis(location) } };
    case 'memory':
      return { type: 'memory' };
    case 'filesystem':
      return { type: 'filesystem', filesystem: { dir: location, threshold: 0 } };
    case 'postgres':
      return { type: 'typeorm', typeorm: { type: 'postgres', url: location } };
    case 'mongodb':
      return { type: 'mongodb', mongodb: { uri: location, db: 'bench' } };
  }
}

/** This module, with its defaults. */
export const serverSession: Contender = {
  imports: (where) => [ServerSessionModule.forRoot({ ...optionsFor(where), lifetime: LIFETIME })],
  controller: serverSessionController,
};
