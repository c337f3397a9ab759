import type { BackEnd } from '../repository.factory.js';

export const backEnd: BackEnd<undefined> = {
  create: async () => new (await import('./null-session.repository.js')).NullSessionRepository(),
};
