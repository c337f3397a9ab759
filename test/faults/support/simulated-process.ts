import { type SessionRepository, type ServerSession, type ServerSessionOptions } from 'nestjs-server-session';
import { resolveOptions } from '../../../lib/options/resolve-options.js';
import { createSerializers } from '../../../lib/storage/serializers.js';
import { stateOf, toServerSession } from '../../../lib/session/server-session.js';
import { SessionIds } from '../../../lib/session/session-id.js';
import type { SessionManager } from '../../../lib/session/session-manager.js';
import { wireSessions } from '../../../lib/testing/wire-sessions.js';

/** What a response says about the cookie: an id, its removal, or nothing. */
export type CookieAnswer = { readonly id: string } | 'cleared' | 'none';

/** A request that is under way: its session is loaded and may be changed; `finish` is its response. */
export interface OpenRequest {
  readonly session: ServerSession;
  /** Saves, as a response does before it leaves, and tells what its `Set-Cookie` says. */
  finish(): Promise<CookieAnswer>;
}

/**
 * All of a process that has to do with sessions, without HTTP. Several of them over one repository are several processes: they
 * share nothing else.
 */
export class SimulatedProcess {
  private constructor(
    readonly manager: SessionManager,
    readonly ids: SessionIds,
  ) {}

  static async start(repository: SessionRepository, given: ServerSessionOptions = {}): Promise<SimulatedProcess> {
    const options = resolveOptions({ repository, ...given });
    const manager = wireSessions(options, repository, await createSerializers(options.serializer));
    return new SimulatedProcess(manager, new SessionIds(options));
  }

  /** Loads the session of an id, as the first line of a handler finds it. */
  async open(id?: string): Promise<OpenRequest> {
    const state = await this.manager.load(id === undefined ? [] : [id]);
    const session = toServerSession(state, this.manager);
    return {
      session,
      finish: async () => {
        await this.manager.commit(state);
        const { cookie, phase, sid } = stateOf(session);
        if (phase === 'ended' || phase === 'following' || cookie === 'none') return 'none';
        return cookie === 'clear' ? 'cleared' : { id: sid };
      },
    };
  }

  /** A whole request. */
  async request(id: string | undefined, handler: (session: ServerSession) => unknown): Promise<CookieAnswer> {
    const { session, finish } = await this.open(id);
    await handler(session);
    return finish();
  }

  /** A new session with these data; its id. */
  async begin(data: Record<string, unknown>): Promise<string> {
    return idIn(await this.request(undefined, (session) => Object.assign(session, data)));
  }

  /** What somebody with this id finds; undefined where there is no session. */
  async look(id: string): Promise<Record<string, unknown> | undefined> {
    const { session } = await this.open(id);
    return session.isNew ? undefined : Object.fromEntries(session.entries());
  }
}

/** The id that a response sent. @throws where it sent none. */
export function idIn(answer: CookieAnswer): string {
  if (typeof answer === 'string') throw new Error(`the response sent no id; its cookie: ${answer}`);
  return answer.id;
}
