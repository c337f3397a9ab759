import { type ChildProcess, spawn } from 'node:child_process';

// The last line read is the clean-up in force; it runs when the other end of the pipe is gone.
const SCRIPT = 'last=:; while IFS= read -r line; do last=$line; done; eval "$last"';

/**
 * Cleans up after this process, however it ends: a small shell holds the reading end of a pipe,
 * and the kernel closes the writing end even when a test worker gets SIGKILL. (An 'exit' listener
 * would not do: inside Jest `process` is a copy whose listeners are never called.)
 */
export class Watchdog {
  readonly #shell: ChildProcess;

  constructor() {
    // Detached: Ctrl-C goes to the terminal's process group, and the watchdog has to outlive it.
    this.#shell = spawn('/bin/sh', ['-c', SCRIPT], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    this.#shell.on('error', () => undefined);
    this.#shell.stdin?.on('error', () => undefined);
    // A server that a test forgot must not keep the test process from ending.
    this.#shell.unref();
    const pipe: unknown = this.#shell.stdin;
    if (hasUnref(pipe)) pipe.unref();
  }

  /** Replaces the clean-up by this shell command. */
  guard(command: string): void {
    this.#shell.stdin?.write(`${command.replaceAll('\n', ' ')}\n`);
  }

  /** Nothing is left to clean up. */
  release(): void {
    this.guard(':');
    this.#shell.stdin?.end();
  }
}

/** Quotes a word for the shell. */
export function shellWord(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

function hasUnref(value: unknown): value is { unref(): void } {
  return typeof value === 'object' && value !== null && 'unref' in value;
}
