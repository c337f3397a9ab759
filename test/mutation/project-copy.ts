import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const COPIED = ['lib', 'test', 'docs', 'sample', 'README.md', 'package.json', 'tsconfig.json', 'jest.config.js'];
const CONFIG = `import config from './jest.config.js';
const { globalSetup, globalTeardown, ...rest } = config;
export default {
  ...rest,
  testEnvironment: '<rootDir>/test/mutation/environment.js',
  testSequencer: '<rootDir>/test/mutation/in-order.js',
  cacheDirectory: '<rootDir>/jest-cache',
  reporters: [],
  testTimeout: 30_000,
};
`;

/** What happened in one test file. */
export interface SpecResult {
  readonly spec: string;
  readonly milliseconds: number;
  /** Milliseconds as well, but the same on a busy machine. */
  readonly processorTime: number;
  readonly places: readonly string[];
  readonly failure?: { readonly test: string; readonly isTimeout: boolean };
}

export interface TestRun {
  readonly results: readonly SpecResult[];
  /** The test file that took longer than allowed: the run was ended then. */
  readonly late?: string;
  /** False when a test failed, or a file could not be loaded. */
  readonly isPassed: boolean;
}

const copies = new Set<ProjectCopy>();

/** A copy of the project that can be changed: sources and tests, and the packages by a link. */
export class ProjectCopy {
  readonly folder = realpathSync(mkdtempSync(join(tmpdir(), 'mutants-')));
  #running: ChildProcess | undefined;
  #runs = 0;

  constructor() {
    for (const name of COPIED) cpSync(name, join(this.folder, name), { recursive: true });
    symlinkSync(realpathSync('node_modules'), join(this.folder, 'node_modules'));
    writeFileSync(join(this.folder, 'jest.mutants.js'), CONFIG);
    copies.add(this);
  }

  read(file: string): string {
    return readFileSync(join(this.folder, file), 'utf8');
  }

  write(file: string, text: string): void {
    writeFileSync(join(this.folder, file), text);
  }

  /**
   * Runs test files, one after the other, until one fails.
   * @param allowed milliseconds that a file may take
   */
  async test(specs: readonly string[], allowed: (spec: string) => number, isBail = true): Promise<TestRun> {
    const file = join(this.folder, `results-${this.#runs++}.jsonl`);
    const jest = ['--experimental-vm-modules', '--no-warnings', 'node_modules/jest/bin/jest.js', '--config', 'jest.mutants.js'];
    const flags = ['--runInBand', '--silent', '--forceExit', ...(isBail ? ['--bail'] : [])];
    const child = spawn(process.execPath, [...jest, ...flags, '--runTestsByPath', ...specs], {
      cwd: this.folder,
      env: { ...process.env, MUTATION_RESULTS: file, MUTATION_SPECS: JSON.stringify(specs.map((spec) => join(this.folder, spec))) },
      // A group of processes, which ends as a whole.
      detached: true,
      stdio: 'ignore',
    });
    this.#running = child;
    const exited = once(child, 'exit');
    const late = await this.#watch(child, exited, file, specs, allowed);
    const [exitCode] = (await exited) as [number | null];
    this.#running = undefined;
    const results = resultsIn(file, this.folder);
    rmSync(file, { force: true });
    return { results, isPassed: exitCode === 0, ...(late === undefined ? {} : { late }) };
  }

  /** Ends the process as soon as one file has taken longer than it may. */
  async #watch(
    child: ChildProcess,
    exited: Promise<unknown>,
    file: string,
    specs: readonly string[],
    allowed: (spec: string) => number,
  ): Promise<string | undefined> {
    let done = 0;
    let since = performance.now();
    while (child.exitCode === null && child.signalCode === null) {
      await Promise.race([exited, sleep(500)]);
      const { length } = resultsIn(file, this.folder);
      if (length > done) since = performance.now();
      done = length;
      const current = specs[done];
      if (current === undefined || performance.now() - since < allowed(current)) continue;
      this.end();
      return current;
    }
    return undefined;
  }

  /** Ends what runs in it. */
  end(): void {
    if (this.#running?.pid === undefined || this.#running.exitCode !== null) return;
    process.kill(-this.#running.pid, 'SIGKILL');
  }

  remove(): void {
    this.end();
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
    copies.delete(this);
  }
}

/** Leaves nothing behind, also when the run is interrupted. */
export function removeCopiesAtExit(): void {
  process.once('exit', () => {
    process.chdir(tmpdir());
    for (const copy of copies) copy.remove();
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
}

function resultsIn(file: string, folder: string): SpecResult[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n');
  // What stands after the last line break is not yet written to its end.
  return lines.slice(0, -1).map((line) => {
    const result = JSON.parse(line) as SpecResult;
    return Object.assign(result, { spec: relative(folder, result.spec) });
  });
}
