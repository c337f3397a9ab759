import { ExitCode } from '../exit-code.js';
import type { Command } from './command.js';

/** Ends the sessions of these names. */
export const revoke: Command<{ readonly handles: readonly string[] }> = async ({ sessions, output }, { handles }) => {
  let revoked = 0;
  for (const handle of handles) if (await sessions.revoke(handle)) revoked++;
  const missing = handles.length - revoked;
  await output.result({ revoked, missing }, `${revoked} ended`);
  // Without repeating it: who mistakes an id for a handle has typed a secret.
  if (missing > 0) output.remark(`${missing} not found: over already, or no handle. (The value of a cookie is an id, not a handle.)`);
  return revoked > 0 ? ExitCode.ok : ExitCode.nothingFound;
};
