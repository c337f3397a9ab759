import { execFile, type ExecFileOptions } from 'node:child_process';

export interface CommandOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly uid?: number;
  readonly gid?: number;
  /** Milliseconds; the command is killed after that. */
  readonly timeout?: number;
}

/** Runs a command to its end and resolves to its standard output. */
export function runCommand(command: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  const execOptions: ExecFileOptions & { encoding: 'utf8' } = {
    ...options,
    encoding: 'utf8',
    killSignal: 'SIGKILL',
    maxBuffer: 64 * 1024 * 1024,
  };
  return new Promise((resolve, reject) => {
    const child = execFile(command, args, execOptions, (error, stdout, stderr) => {
      if (error === null) {
        resolve(stdout);
        return;
      }
      const reason = error.killed === true ? `did not end within ${options.timeout} ms` : `failed (${error.code})`;
      const output = `${stdout}\n${stderr}`.trim().slice(-2000);
      reject(new Error(`${command} ${reason}: ${output}`));
    });
    // Nobody answers questions here: a command that asks one sees the end of its input instead.
    child.stdin?.end();
  });
}
