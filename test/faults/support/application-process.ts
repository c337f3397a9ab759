import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { ServerSessionOptions } from 'nestjs-server-session';
import { TYPESCRIPT_ARGS } from '../../support/typescript-child.js';
import type { Resources } from './application.child.js';

const SCRIPT = fileURLToPath(new URL('application.child.ts', import.meta.url));

/** Whose client of the store sessions use. */
export type ClientOwner = 'own' | 'application';

/** A Nest application in a process of its own. */
export class ApplicationProcess {
  private constructor(
    private readonly child: ChildProcess,
    readonly url: string,
  ) {}

  /** @param session options, readable as JSON. @param clockOffset milliseconds by which its clock is wrong. */
  static async start(
    session: ServerSessionOptions,
    { clockOffset = 0, user, client = 'own' }: { clockOffset?: number; user?: number; client?: ClientOwner } = {},
  ): Promise<ApplicationProcess> {
    const preload = ['--import', new URL('wrong-clock.js', import.meta.url).href];
    const child = fork(SCRIPT, [JSON.stringify(session), client], {
      execArgv: [...TYPESCRIPT_ARGS, ...preload, '--expose-gc'],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      env: { ...process.env, CLOCK_OFFSET: String(clockOffset) },
      ...(user === undefined ? {} : { uid: user, gid: user }),
    });
    let stderr = '';
    child.stderr?.on('data', (chunk: Buffer) => (stderr = (stderr + chunk.toString()).slice(-4000)));
    const ended = once(child, 'exit').then(() => {
      throw new Error(`the application did not start: ${stderr}`);
    });
    const [url] = (await Promise.race([once(child, 'message'), ended])) as [string];
    ended.catch(() => undefined);
    return new ApplicationProcess(child, url);
  }

  /** @throws when it was killed. */
  async resources(): Promise<Resources> {
    this.child.send('resources');
    const [resources] = (await once(this.child, 'message')) as [Resources];
    return resources;
  }

  /** Sets its clock, while it runs, to be wrong by this many milliseconds. */
  setClock(offset: number): void {
    this.child.send({ clockOffset: offset });
  }

  /** `kill -9`. */
  async kill(): Promise<void> {
    await this.end(() => this.child.kill('SIGKILL'));
  }

  /** As an orchestrator stops it; `kill -9` where that takes too long. */
  async close(): Promise<void> {
    const late = setTimeout(() => this.child.kill('SIGKILL'), 10_000);
    await this.end(() => this.child.send('close'));
    clearTimeout(late);
  }

  private async end(how: () => void): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const exit = once(this.child, 'exit');
    how();
    await exit;
  }
}
