import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { logTail } from './log-tail.js';
import { pauseFor } from './pause-for.js';
import { isAlive, isStopped, processTree, signalAll } from './process-tree.js';
import type { Runner } from './runner.js';
import type { SystemUser } from './system-user.js';
import { shellWord, Watchdog } from './watchdog.js';

export interface ProcessPlan {
  readonly command: string;
  readonly args: readonly string[];
  /** Working folder and log; everything in it goes away in the end. */
  readonly folder: string;
  readonly user: SystemUser | undefined;
  readonly shutdownSignal: NodeJS.Signals;
  readonly discardSignal: NodeJS.Signals;
}

const PATIENCE = 10_000;

/** A server that runs as a direct child, so that signals hit the server itself. */
export class ServerProcess implements Runner {
  readonly #plan: ProcessPlan;
  readonly #watchdog = new Watchdog();
  #child: ChildProcess | undefined;
  #stopped: number[] = [];

  constructor(plan: ProcessPlan) {
    this.#plan = plan;
    this.#guard([]);
  }

  get running(): boolean {
    const child = this.#child;
    return child?.pid !== undefined && child.exitCode === null && child.signalCode === null;
  }

  start(): void {
    const { command, args, folder, user } = this.#plan;
    // A file, not a pipe: a pipe that a busy test does not read in time would block the server.
    const log = openSync(join(folder, 'log'), 'a');
    try {
      this.#child = spawn(command, args, {
        cwd: folder,
        // Its own process group: Ctrl-C ends the tests, and then the watchdog ends the server.
        detached: true,
        stdio: ['ignore', log, log],
        env: { ...process.env, LC_ALL: 'C' },
        ...(user === undefined ? {} : { uid: user.uid, gid: user.gid }),
      });
    } finally {
      closeSync(log);
    }
    const child = this.#child;
    if (child.pid !== undefined) this.#guard([child.pid]);
    // From here on the pid may belong to somebody else.
    child.once('exit', () => this.#guard([]));
    child.on('error', () => undefined);
    child.unref();
  }

  async shutDown(): Promise<void> {
    await this.#end(this.#plan.shutdownSignal);
  }

  async kill(): Promise<void> {
    const pid = this.#pid();
    if (pid === undefined) return;
    // Stopped first, so that no child is born between listing them and killing them.
    await stopAll([pid]);
    await this.#endTree(processTree(pid), 'SIGKILL');
  }

  async pause(): Promise<void> {
    const pid = this.#pid();
    if (pid === undefined) throw new Error('this server does not run: it cannot be paused');
    // The kernel only notes the signal: on a busy machine a thread may still answer for some time.
    await stopAll([pid]);
    this.#stopped = processTree(pid);
    await stopAll(this.#stopped);
    this.#guard(this.#stopped);
  }

  async resume(): Promise<void> {
    signalAll(this.#stopped, 'SIGCONT');
    this.#stopped = [];
  }

  logTail(): Promise<string> {
    return logTail(this.#plan.folder);
  }

  async discard(): Promise<void> {
    await this.#end(this.#plan.discardSignal);
    await rm(this.#plan.folder, { recursive: true, force: true });
    this.#watchdog.release();
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const pid = this.#pid();
    if (pid === undefined) return;
    await this.resume();
    const tree = processTree(pid);
    signalAll([pid], signal);
    const late = setTimeout(() => signalAll(processTree(pid), 'SIGKILL'), PATIENCE);
    await this.#endTree(tree);
    clearTimeout(late);
  }

  async #endTree(pids: number[], signal?: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    const exit = child !== undefined && this.running ? once(child, 'exit') : undefined;
    // Waited for from here on: an unreferenced child alone would not keep this process alive.
    child?.ref();
    if (signal !== undefined) signalAll(pids, signal);
    await exit;
    this.#stopped = [];
    const deadline = Date.now() + PATIENCE;
    while (pids.some(isAlive) && Date.now() < deadline) await pauseFor(5);
  }

  #pid(): number | undefined {
    return this.running ? this.#child?.pid : undefined;
  }

  #guard(pids: readonly number[]): void {
    const { folder, discardSignal } = this.#plan;
    const list = pids.join(' ');
    const gentle =
      discardSignal === 'SIGKILL'
        ? ''
        : // It may be paused, and would then not see the signal.
          `kill -${discardSignal.slice(3)} ${list}; kill -CONT ${list}; sleep 1; `;
    const kill = pids.length === 0 ? '' : `${gentle}kill -KILL ${list}; `;
    this.#watchdog.guard(`${kill}rm -rf -- ${shellWord(folder)}`);
  }
}

/** Stops processes, and waits until none of their threads runs any more. */
async function stopAll(pids: readonly number[]): Promise<void> {
  signalAll(pids, 'SIGSTOP');
  const deadline = Date.now() + PATIENCE;
  while (!pids.every(isStopped)) {
    if (Date.now() > deadline) throw new Error(`processes ${pids.join(', ')} did not stop within ${PATIENCE} ms`);
    await pauseFor(1);
  }
}
