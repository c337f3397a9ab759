import { ServerSessionModule, type ServerSessionOptions } from 'nestjs-server-session';
import { type Contender, LIFETIME, type StoreLocation } from './contender.js';
import { serverSessionController } from './session.controller.js';

function optionsFor({ store, location }: StoreLocation): ServerSessionOptions {
  switch (store) {
    case 'redis':
      return { type: 'redis', redis: { url: location } };
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

/**
 * The same with sessions of Redis kept in the process too, which is an option. It has a prefix of its own, or the server would tell
 * it of the changes of the other one.
 */
export const nearCache: Contender = {
  imports: ({ location }) => [
    ServerSessionModule.forRoot({ type: 'redis', redis: { url: location, nearCache: {} }, lifetime: LIFETIME, keyPrefix: 'near:' }),
  ],
  controller: serverSessionController,
};
