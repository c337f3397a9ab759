import { NullSessionError, SessionRepository } from 'nestjs-server-session';
import { fromExpressStore } from 'nestjs-server-session/interop';
import { describeSessionRepository } from 'nestjs-server-session/testing';

/** Every entry that needs no optional peer is there, and all of them have the same classes. */
const repository = fromExpressStore({ get: () => undefined, set: () => undefined, destroy: () => undefined });
if (!(repository instanceof SessionRepository)) throw new Error('the entries have classes of their own');
console.log([NullSessionError, describeSessionRepository].map(({ name }) => name).join(' '));
