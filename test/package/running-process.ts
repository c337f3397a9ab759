import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { ownEnvironment } from './run-command.js';

/** A Node program in a process of its own. */
export class RunningProcess {
  output = '';

  private constructor(private readonly child: ChildProcess) {
    for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (text: string) => (this.output += text));
  }

  static start(file: string, env: Readonly<Record<string, string>>, cwd: string, node = process.execPath): RunningProcess {
    return new RunningProcess(spawn(node, [file], { cwd, env: { ...ownEnvironment(), ...env }, stdio: ['ignore', 'pipe', 'pipe'] }));
  }

  /** Waits until it prints something of this form. */
  async printed(form: RegExp): Promise<RegExpExecArray> {
    const { child } = this;
    for (;;) {
      const found = form.exec(this.output);
      if (found !== null) return found;
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`the process ended without printing ${form}:\n${this.output}`);
      await Promise.race([...[child.stdout, child.stderr].map((stream) => stream && once(stream, 'data')), once(child, 'close')]);
    }
  }

  /** Waits for its end. */
  async ended(): Promise<number | null> {
    const { child } = this;
    if (child.exitCode === null && child.signalCode === null) await once(child, 'close');
    return child.exitCode;
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    this.child.kill(signal);
    await this.ended();
  }
}
