import type { ServerSession } from '../session/server-session.js';
import { plainValue } from './plain-value.js';

/** What the command line shows of a session. Never its id: nobody can sign in with what is printed here. */
export interface SessionView {
  /** Null where the application stores ids as they are (`hashIds: false`), since the handle would be the id. */
  readonly handle: string | null;
  readonly principal: string | null;
  readonly createdAt: string;
  readonly lastAccessedAt: string;
  readonly expiresAt: string;
  /** What the option `meta` of the application noted. */
  readonly meta: unknown;
  /** With `--data` only. */
  readonly data?: unknown;
}

export interface ViewOptions {
  readonly showsHandle: boolean;
  readonly showsData: boolean;
}

export function viewOf(session: ServerSession, { showsHandle, showsData }: ViewOptions): SessionView {
  return {
    handle: showsHandle ? session.handle : null,
    principal: session.principal ?? null,
    createdAt: session.createdAt.toISOString(),
    lastAccessedAt: session.lastAccessedAt.toISOString(),
    expiresAt: session.expiresAt.toISOString(),
    meta: plainValue(session.meta) ?? null,
    ...(showsData ? { data: plainValue(Object.fromEntries(session.entries())) } : {}),
  };
}

/** Several lines for people: the handle to copy, then whose it is, when it was used and from where. */
export function describe({ handle, principal, createdAt, lastAccessedAt, expiresAt, meta, data }: SessionView): string[] {
  return [
    handle ?? '(handle not shown: with hashIds: false it is the id)',
    `  principal  ${principal ?? '(none)'}`,
    `  created    ${toMinute(createdAt)}   used ${toMinute(lastAccessedAt)}   expires ${toMinute(expiresAt)}`,
    ...(meta === null ? [] : [`  meta       ${JSON.stringify(meta)}`]),
    ...(data === undefined ? [] : [`  data       ${JSON.stringify(data)}`]),
  ];
}

function toMinute(iso: string): string {
  return `${iso.slice(0, 16).replace('T', ' ')} UTC`;
}
