import { type ChildProcess, fork, type ForkOptions } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const SUPPORT = join(process.cwd(), 'test', 'support');

/** What makes node run TypeScript as it is. */
export const TYPESCRIPT_ARGS = ['--import', pathToFileURL(join(SUPPORT, 'register-typescript.js')).href];

/** A script of this folder, in a process of its own. */
export class TypescriptChild {
  readonly messages: unknown[] = [];
  private readonly process: ChildProcess;
  private readonly closed: Promise<unknown>;
  private stderr = '';
  private onProgress: () => void = () => undefined;

  /** @param script name of a file in `test/support`. @param task what it is told to do, readable as JSON. */
  constructor(script: string, task: object, options: ForkOptions = {}) {
    this.process = fork(join(SUPPORT, script), [JSON.stringify(task)], {
      execArgv: TYPESCRIPT_ARGS,
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      ...options,
    });
    this.closed = once(this.process, 'close').finally(() => this.onProgress());
    this.process.on('message', (message) => {
      this.messages.push(message);
      this.onProgress();
    });
    this.process.stderr?.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()));
  }

  /** Until it has sent this many messages. */
  async until(count: number): Promise<void> {
    while (this.messages.length < count) {
      if (this.hasEnded) throw new Error(`the child process ended early: ${this.stderr}`);
      await new Promise<void>((resolve) => (this.onProgress = resolve));
    }
  }

  /** Until it ends by itself. @throws when it fails. */
  async ended(): Promise<void> {
    await this.closed;
    if (this.process.exitCode !== 0) throw new Error(`the child process failed: ${this.stderr}`);
  }

  /** `kill -9`: it has no chance to finish anything. What it had sent before has arrived. */
  async kill(): Promise<void> {
    this.process.kill('SIGKILL');
    await this.closed;
  }

  private get hasEnded(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null;
  }
}
