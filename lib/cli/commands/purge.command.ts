import { ExitCode } from '../exit-code.js';
import type { Command } from './command.js';

/** Stores with a time to live of their own. */
const SELF_CLEANING: readonly string[] = ['redis', 'memcached', 'mongodb'];

/** Removes what has expired. */
export const purge: Command<object> = async ({ sessions, options, output, progress }) => {
  const started = Date.now();
  const removed = await progress.during(
    () => `removing expired sessions, ${Math.round((Date.now() - started) / 1000)} s so far`,
    () => sessions.purgeExpired(),
  );
  await output.result({ removed }, `${removed} removed`);
  if (options.repository === undefined && SELF_CLEANING.includes(options.type))
    output.remark(`There is nothing to purge: '${options.type}' removes expired sessions itself.`);
  return ExitCode.ok;
};
