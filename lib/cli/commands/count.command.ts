import { ExitCode } from '../exit-code.js';
import type { Command } from './command.js';

/** How many sessions there are. None is an answer, too. */
export const count: Command<{ readonly principal?: string }> = async ({ sessions, output }, { principal }) => {
  const total = await sessions.count({ principal });
  await output.result({ count: total }, String(total));
  return ExitCode.ok;
};
