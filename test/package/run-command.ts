import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Runs a program to its end. What it printed is in the error, should it fail. */
export async function runCommand(
  command: string,
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  try {
    const { stdout } = await run(command, args, { cwd, env: { ...ownEnvironment(), ...env }, maxBuffer: 16 * 1024 * 1024 });
    return stdout;
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    throw new Error(`${command} ${args.join(' ')} failed:\n${stdout}${stderr}`, { cause: error });
  }
}

/** The environment without what Jest has put there: a child must not take itself for one of its workers. */
export function ownEnvironment(): NodeJS.ProcessEnv {
  const { JEST_WORKER_ID: _worker, NODE_ENV: _mode, ...env } = process.env;
  return env;
}
