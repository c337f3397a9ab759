import { ExitCode } from '../exit-code.js';
import { describe, viewOf } from '../session-view.js';
import type { Command } from './command.js';

export interface ListOptions {
  readonly principal?: string;
  readonly limit?: number;
  readonly cursor?: string;
  readonly all?: true;
  readonly data?: true;
}

/** With `--all`, sessions that are read at once. */
const PAGE = 500;

/** Sessions, one page or all of them, written as they are read. */
export const list: Command<ListOptions> = async ({ sessions, options, output }, { principal, limit, cursor, all, data }) => {
  const view = { showsHandle: options.hashIds, showsData: data === true };
  let next = cursor;
  let listed = 0;
  do {
    const page = await sessions.list({ principal, limit: limit ?? (all ? PAGE : undefined), cursor: next });
    for (const session of page.sessions) {
      const shown = viewOf(session, view);
      for (const line of output.asJson ? [JSON.stringify(shown)] : describe(shown)) await output.line(line);
    }
    listed += page.sessions.length;
    next = page.cursor;
    // A page may be empty and still have a successor.
  } while (next !== undefined && (all || listed === 0));
  if (next !== undefined) {
    // A cursor may be the handle of the last one.
    if (!view.showsHandle) output.remark('There may be more: --all shows them.');
    else if (output.asJson) await output.line(JSON.stringify({ cursor: next }));
    else output.remark(`There may be more: --cursor '${next}' shows the next page, --all all of them.`);
  }
  if (listed === 0) output.remark('No sessions.');
  return listed > 0 ? ExitCode.ok : ExitCode.nothingFound;
};
