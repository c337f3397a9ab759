import { catalogue } from './catalogue.js';
import { externalServer } from './external-server.js';
import { locate } from './locate.js';
import { OwnServer } from './own-server.js';
import type { Recipe } from './recipe.js';
import { recordStart } from './run-file.js';
import type { TestServer } from './test-server.js';

export interface StartOptions {
  /** Options that only a server of our own can honour; they make one given by URL an error. */
  readonly needsOwn?: Readonly<Record<string, unknown>>;
  /** URLs that the environment gives, when not simply the value of the variable. */
  readonly externalUrl?: string | undefined;
  /** Never use a server from the environment. */
  readonly alwaysOwn?: boolean;
}

/** Starts a server, or takes the one that the environment gives, and waits until it answers. */
export async function startServer(recipe: Recipe, options: StartOptions = {}): Promise<TestServer> {
  const { variable } = catalogue[recipe.kind];
  const url = options.externalUrl ?? process.env[variable];
  const server =
    url === undefined || url === '' || options.alwaysOwn === true
      ? await OwnServer.start(recipe, await locate(recipe.kind))
      : await useExternal(recipe, url, options.needsOwn ?? {});
  recordStart(server);
  return server;
}

async function useExternal(recipe: Recipe, url: string, needsOwn: Readonly<Record<string, unknown>>): Promise<TestServer> {
  const { variable } = catalogue[recipe.kind];
  const impossible = Object.keys(needsOwn).filter((name) => needsOwn[name] !== undefined);
  if (impossible.length > 0) {
    throw new Error(
      `the server at ${variable} is not ours and cannot be started with the options ` +
        `${impossible.join(', ')}: unset ${variable} to run these tests`,
    );
  }
  return externalServer(recipe.kind, url, await recipe.probe(url, undefined));
}
