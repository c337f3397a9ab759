import { ExitCode } from '../exit-code.js';
import type { Command } from './command.js';

export interface RevokeAllOptions {
  readonly principal: string;
  readonly except?: readonly string[];
}

/** Ends all sessions of a user. */
export const revokeAll: Command<RevokeAllOptions> = async ({ sessions, output, progress }, { principal, except = [] }) => {
  const total = await sessions.count({ principal });
  let ended = 0;
  const counting = sessions.events.subscribe((event) => {
    if (event.type === 'revoked') ended++;
  });
  try {
    const revoked = await progress.during(
      () => `${ended} of ${total} ended`,
      () => sessions.revokeAll({ principal, except }),
    );
    await output.result({ revoked }, `${revoked} ended`);
    return revoked > 0 ? ExitCode.ok : ExitCode.nothingFound;
  } finally {
    counting.unsubscribe();
  }
};
