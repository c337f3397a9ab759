import { join } from 'node:path';
import { Container } from './container.js';
import { freePort } from './free-port.js';
import type { Place } from './locate.js';
import { pauseFor } from './pause-for.js';
import { PortTakenError, untilReady } from './ready.js';
import type { NativePlace, Recipe } from './recipe.js';
import type { Runner } from './runner.js';
import { ServerProcess } from './server-process.js';
import { systemUser } from './system-user.js';
import { makeTempFolder } from './temp-folder.js';
import type { ServerKind, ServerSource, TestServer } from './test-server.js';

const PORT_ATTEMPTS = 5;

/** A server that this harness has started. */
export class OwnServer implements TestServer {
  readonly kind: ServerKind;
  readonly source: ServerSource;
  readonly target: string;
  readonly host = '127.0.0.1';
  readonly port: number;
  readonly url: string;
  readonly ours = true;
  readonly keepsData: boolean;
  readonly #recipe: Recipe;
  readonly #place: NativePlace;
  readonly #runner: Runner;
  #version = '';

  private constructor(recipe: Recipe, place: NativePlace, runner: Runner) {
    this.kind = recipe.kind;
    this.source = place.source;
    this.target = place.target;
    this.port = place.port;
    this.url = recipe.url(place.port);
    this.keepsData = recipe.keepsData(place);
    this.#recipe = recipe;
    this.#place = place;
    this.#runner = runner;
  }

  static async start(recipe: Recipe, place: Place): Promise<OwnServer> {
    for (let attempt = 1; ; attempt += 1) {
      const server = await OwnServer.#prepare(recipe, place);
      try {
        await server.#launch();
        return server;
      } catch (error) {
        await server.stop();
        if (!(error instanceof PortTakenError) || attempt === PORT_ATTEMPTS) throw error;
      }
    }
  }

  static async #prepare(recipe: Recipe, place: Place): Promise<OwnServer> {
    const port = await freePort();
    const inContainer = place.source === 'docker';
    const user = inContainer || recipe.user === undefined ? undefined : await systemUser(recipe.user);
    const folder = await makeTempFolder(recipe.kind, user);
    const native: NativePlace = { ...place, port, user, data: join(folder, 'data') };
    if (inContainer) {
      const plan = { ...recipe.container, image: place.target, port, folder };
      return new OwnServer(recipe, native, new Container(plan));
    }
    const runner = new ServerProcess({
      command: place.target,
      args: recipe.args(native),
      folder,
      user,
      shutdownSignal: recipe.shutdownSignal ?? 'SIGTERM',
      discardSignal: recipe.discardSignal ?? 'SIGKILL',
    });
    try {
      await recipe.prepare?.(native);
    } catch (error) {
      await runner.discard();
      throw error;
    }
    return new OwnServer(recipe, native, runner);
  }

  get version(): string {
    return this.#version;
  }

  async stop(): Promise<void> {
    const { source } = this.#place;
    // Before the folder goes: what is left behind outside of it is found through it.
    if (source !== 'docker' && !this.#runner.running) await this.#recipe.afterwards?.(this.#place);
    await this.#runner.discard();
  }

  kill(): Promise<void> {
    return this.#runner.kill();
  }

  async restart(): Promise<void> {
    if (this.#runner.running) await this.#runner.shutDown();
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.#launch();
        return;
      } catch (error) {
        // Docker takes a moment to give the port of a container back.
        if (!(error instanceof PortTakenError) || attempt === PORT_ATTEMPTS) throw error;
        await pauseFor(200);
      }
    }
  }

  pause(): Promise<void> {
    return this.#runner.pause();
  }

  resume(): Promise<void> {
    return this.#runner.resume();
  }

  async #launch(): Promise<void> {
    this.#runner.start();
    const name = `${this.kind} (${this.source}: ${this.target}, port ${this.port})`;
    this.#version = await untilReady(name, this.#runner, () => this.#recipe.probe(this.url, this.#place));
  }
}
