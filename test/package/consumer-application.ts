import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { packedPackage } from './packed-package.js';
import { ROOT, TSC } from './paths.js';
import { runCommand } from './run-command.js';
import { RunningProcess } from './running-process.js';

interface PackageJson {
  readonly private: true;
  readonly type?: 'module' | 'commonjs';
  readonly dependencies: Record<string, string>;
  readonly devDependencies?: Record<string, string>;
  readonly overrides?: object;
}

/** An application of a user, outside of the project, with the package installed from its tarball. */
export class ConsumerApplication {
  private readonly processes: RunningProcess[] = [];

  private constructor(
    readonly folder: string,
    private readonly outer = folder,
  ) {}

  /** An empty one. */
  static async create(manifest: Omit<PackageJson, 'private'>): Promise<ConsumerApplication> {
    const app = new ConsumerApplication(await mkdtemp(join(tmpdir(), 'consumer-')));
    await app.write('package.json', JSON.stringify({ private: true, ...manifest }));
    await app.install();
    return app;
  }

  /** One as `nest new` of that version sets it up, without the packages that only lint and format. */
  static async nestNew(version: number): Promise<ConsumerApplication> {
    const parent = await mkdtemp(join(tmpdir(), 'consumer-'));
    const cli = ['exec', '--yes', '--prefer-offline', '--package', `@nestjs/cli@${version}`, '--'];
    await runCommand('npm', [...cli, 'nest', 'new', 'shop', '--skip-install', '--skip-git', '--package-manager', 'npm'], parent);
    const app = new ConsumerApplication(join(parent, 'shop'), parent);
    const manifest = JSON.parse(await readFile(join(app.folder, 'package.json'), 'utf8')) as PackageJson;
    const needed = Object.entries(manifest.devDependencies ?? {}).filter(([name]) => !/lint|prettier|coverage|mau$|^globals$/.test(name));
    await app.write('package.json', JSON.stringify({ ...manifest, devDependencies: Object.fromEntries(needed) }, undefined, 2));
    await app.install();
    return app;
  }

  private async install(): Promise<void> {
    const { tarball } = await packedPackage();
    await this.npm('install', '--prefer-offline', '--no-audit', '--no-fund', '--no-package-lock', `file:${tarball}`);
  }

  npm(...args: string[]): Promise<string> {
    return runCommand('npm', args, this.folder);
  }

  /** Runs a program of one of its packages. */
  run(program: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<string> {
    return runCommand(process.execPath, [join(this.folder, 'node_modules', program), ...args], this.folder, env);
  }

  /** Runs Node in its folder, and gives what it printed. */
  node(...args: string[]): Promise<string> {
    return runCommand(process.execPath, args, this.folder);
  }

  async write(name: string, content: string): Promise<void> {
    await mkdir(dirname(join(this.folder, name)), { recursive: true });
    await writeFile(join(this.folder, name), content);
  }

  /** Copies a file of `test/package/consumer`. */
  async copy(name: string, as = name): Promise<void> {
    await mkdir(dirname(join(this.folder, as)), { recursive: true });
    await copyFile(join(ROOT, 'test/package/consumer', name), join(this.folder, as));
  }

  /** Compiles files, with every declaration of every package checked. */
  async compile(files: readonly string[], options: object = {}): Promise<void> {
    const compilerOptions = {
      module: 'nodenext',
      target: 'es2023',
      experimentalDecorators: true,
      emitDecoratorMetadata: true,
      skipLibCheck: false,
      types: ['node'],
      typeRoots: [join(ROOT, 'node_modules/@types')],
      ...options,
    };
    await this.write('tsconfig.json', JSON.stringify({ compilerOptions, files }));
    await runCommand(process.execPath, [TSC, '-p', '.'], this.folder);
  }

  /** Starts a program of it. */
  start(file: string, env: Readonly<Record<string, string>> = {}, node = process.execPath): RunningProcess {
    const started = RunningProcess.start(file, env, this.folder, node);
    this.processes.push(started);
    return started;
  }

  async remove(): Promise<void> {
    await Promise.all(this.processes.map((started) => started.stop('SIGKILL')));
    await rm(this.outer, { recursive: true, force: true });
  }
}
