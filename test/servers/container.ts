import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { docker } from './docker.js';
import { logTail } from './log-tail.js';
import type { ContainerRecipe } from './recipe.js';
import type { Runner } from './runner.js';
import { shellWord, Watchdog } from './watchdog.js';

export interface ContainerPlan extends ContainerRecipe {
  readonly image: string;
  readonly port: number;
  /** Holds the log; its name is unique, so the container and its volume are named after it. */
  readonly folder: string;
}

/** A server in a Docker container. */
export class Container implements Runner {
  readonly #plan: ContainerPlan;
  readonly #watchdog = new Watchdog();
  readonly #volume: string;
  #client: ChildProcess | undefined;
  #starts = 0;

  constructor(plan: ContainerPlan) {
    this.#plan = plan;
    this.#volume = `server-session-${basename(plan.folder)}`;
  }

  get running(): boolean {
    const client = this.#client;
    return client?.pid !== undefined && client.exitCode === null && client.signalCode === null;
  }

  start(): void {
    // A new name each time: Docker takes a moment to remove a container that has ended.
    this.#starts += 1;
    this.#watchdog.guard(`docker rm -f ${this.#name}; docker volume rm -f ${this.#volume}; ` + `rm -rf -- ${shellWord(this.#plan.folder)}`);
    const log = openSync(join(this.#plan.folder, 'log'), 'a');
    try {
      this.#client = spawn('docker', this.#runArgs(), {
        detached: true,
        stdio: ['ignore', log, log],
      });
    } finally {
      closeSync(log);
    }
    this.#client.on('error', () => undefined);
    this.#client.unref();
  }

  async shutDown(): Promise<void> {
    await this.#end('stop', '--time', '10');
  }

  async kill(): Promise<void> {
    await this.#end('kill');
  }

  async pause(): Promise<void> {
    await docker('pause', this.#name);
  }

  async resume(): Promise<void> {
    await docker('unpause', this.#name);
  }

  logTail(): Promise<string> {
    return logTail(this.#plan.folder);
  }

  async discard(): Promise<void> {
    await this.#end('rm', '-f');
    await docker('volume', 'rm', '-f', this.#volume).catch(() => undefined);
    await rm(this.#plan.folder, { recursive: true, force: true });
    this.#watchdog.release();
  }

  /** The client in the foreground ends when its container does. */
  async #end(...command: readonly string[]): Promise<void> {
    const client = this.#client;
    if (client === undefined || !this.running) return;
    client.ref();
    const exit = once(client, 'exit');
    await docker(...command, this.#name).catch((error: unknown) => {
      // It may have ended by itself in the meantime, and `--rm` is then already removing it.
      if (this.running) throw error;
    });
    await exit;
  }

  get #name(): string {
    return `${this.#volume}-${this.#starts}`;
  }

  #runArgs(): string[] {
    const { port, innerPort, dataFolder, env = {}, hostNetwork, image, args } = this.#plan;
    return [
      'run',
      '--rm',
      '--name',
      this.#name,
      ...(hostNetwork === true ? ['--network', 'host'] : ['--publish', `127.0.0.1:${port}:${innerPort}`]),
      ...(dataFolder === undefined ? [] : ['--volume', `${this.#volume}:${dataFolder}`]),
      ...Object.entries(env).flatMap(([name, value]) => ['--env', `${name}=${value}`]),
      image,
      ...args(port),
    ];
  }
}
