import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { join } from 'node:path';
import { type StagedPackage, stagePackage } from '../../package/stage-package.js';

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command as it is published, run as a process. */
export class CommandLine {
  private constructor(private readonly staged: StagedPackage) {}

  static async build(): Promise<CommandLine> {
    // Without declarations, which take far longer than the rest.
    return new CommandLine(await stagePackage(['npx', 'rolldown', '-c']));
  }

  /** Inside of the package, so that files in it find the package by its name. */
  get folder(): string {
    return this.staged.folder;
  }

  async run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
    const { PATH = '' } = process.env;
    const main = join(this.folder, 'dist/cli/main.js');
    const child = spawn(process.execPath, [main, ...args], {
      cwd: this.folder,
      env: { PATH, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 60_000,
      killSignal: 'SIGKILL',
    });
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
    return { code: child.exitCode, stdout, stderr };
  }

  remove(): Promise<void> {
    return this.staged.remove();
  }
}

/** What was printed as lines of JSON. */
export function jsonLines(printed: string): Record<string, unknown>[] {
  return printed
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
