import { catalogue } from './catalogue.js';
import type { ServerKind, TestServer } from './test-server.js';

const DEFAULT_PORTS: Readonly<Record<ServerKind, number>> = {
  redis: 6379,
  'redis-cluster': 6379,
  memcached: 11211,
  postgres: 5432,
  mariadb: 3306,
  mongodb: 27017,
};

/** A server that somebody else runs and whose URL the environment gives. */
export function externalServer(kind: ServerKind, url: string, version: string): TestServer {
  const { variable } = catalogue[kind];
  const notOurs = async (): Promise<never> => {
    throw new Error(`this server is not ours: unset ${variable} to run the fault tests`);
  };
  return {
    kind,
    version,
    source: 'environment',
    target: variable,
    ...addressOf(url, DEFAULT_PORTS[kind]),
    url,
    ours: false,
    keepsData: true,
    stop: async () => undefined,
    kill: notOurs,
    restart: notOurs,
    pause: notOurs,
    resume: notOurs,
  };
}

function addressOf(url: string, defaultPort: number): { host: string; port: number } {
  // Only the first of several hosts ("mongodb://a,b/"), which the URL class would not take.
  const [, host = '127.0.0.1', port] = /^[a-z+]+:\/\/(?:[^@/]*@)?(\[[^\]]+\]|[^:/,?]+)(?::(\d+))?/i.exec(url) ?? [];
  return {
    host: host.replaceAll(/[[\]]/g, ''),
    port: port === undefined ? defaultPort : Number(port),
  };
}
