import type { Output } from '../output.js';
import type { Progress } from '../progress.js';
import type { ExitCode } from '../exit-code.js';
import type { SessionStore } from '../session-store.js';

/** What a command works with. */
export interface CommandContext extends SessionStore {
  readonly output: Output;
  readonly progress: Progress;
}

/** One command, with what was typed after it. */
export type Command<Options> = (context: CommandContext, options: Options) => Promise<ExitCode>;
