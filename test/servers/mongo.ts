import { mkdir } from 'node:fs/promises';
import type { Place } from './locate.js';
import { jongodbVersion } from './mongo-binary.js';
import type { Recipe } from './recipe.js';
import { startServer } from './start-server.js';
import type { TestServer } from './test-server.js';

export interface MongoOptions {
  /** More arguments for `mongod`; the wire-compatible substitute does not get them. */
  readonly args?: readonly string[];
}

export async function startMongo(options: MongoOptions = {}): Promise<TestServer> {
  return startServer(recipe(options), { needsOwn: { args: options.args } });
}

function recipe({ args = [] }: MongoOptions): Recipe {
  return {
    kind: 'mongodb',
    keepsData: ({ source }) => source !== 'jongodb',
    prepare: async ({ data, source }) => {
      if (source !== 'jongodb') await mkdir(data);
    },
    args: ({ data, port, source }) =>
      source === 'jongodb'
        ? ['--host=127.0.0.1', `--port=${port}`]
        : ['--dbpath', data, '--port', String(port), '--bind_ip', '127.0.0.1', '--nounixsocket', ...args],
    container: {
      innerPort: 27017,
      dataFolder: '/data/db',
      args: () => ['mongod', '--bind_ip_all', ...args],
    },
    url: (port) => `mongodb://127.0.0.1:${port}/test`,
    probe,
  };
}

async function probe(url: string, place: Place | undefined): Promise<string> {
  const { default: mongoose } = await import('mongoose');
  const client = new mongoose.mongo.MongoClient(url, {
    serverSelectionTimeoutMS: 250,
    connectTimeoutMS: 2000,
    socketTimeoutMS: 4000,
  });
  try {
    await client.db('admin').command({ ping: 1 });
    const { version } = await client.db('admin').command({ buildInfo: 1 });
    return place?.source === 'jongodb' ? `jongodb ${await jongodbVersion()}` : String(version);
  } finally {
    await client.close();
  }
}
