/** @ts-ignore In an application without memcache-client this type is `any`, so that its own types can still be checked. */
import type { MemcacheClient } from 'memcache-client';
import { isObject, type OptionReader } from '../../common/option-reader.js';
import type { BackEnd } from '../repository.factory.js';

/** Which Memcached: a client of yours, or the addresses of one or more servers. */
export type MemcachedSessionOptions =
  | {
      /** A `MemcacheClient` of one server. It stays yours: nothing here closes it. */
      client: MemcacheClient;
    }
  | {
      /**
       * Addresses as in `'10.0.0.1:11211'`; the port may be left out. Each session lives on one of them, chosen by a consistent
       * hash, so every process has to name the same servers, in any order.
       * @default '127.0.0.1:11211'
       */
      servers?: string | readonly string[];
    };

const DEFAULT_PORT = 11211;
// The client package divides an address at its first colon, so an IPv6 address does not get through it.
const ADDRESS = /^(?<host>[A-Za-z0-9._-]+)(?::(?<port>\d{1,5}))?$/;

export const backEnd: BackEnd<MemcachedSessionOptions> = {
  check: checkMemcachedOptions,
  create: async (context) => (await import('./memcached-session.repository.js')).MemcachedSessionRepository.create(context),
};

function checkMemcachedOptions(read: OptionReader): void {
  const client = read.check('client', undefined, "a MemcacheClient of the package 'memcache-client', of one server", isSingleClient);
  const servers = read.check(
    'servers',
    undefined,
    "different addresses as in '10.0.0.1:11211', one or an array (an IPv6 server by its name)",
    (value) => readServers(value) !== undefined,
  );
  if (client !== undefined && servers !== undefined) read.fault('servers', servers, "nothing beside 'client'");
  read.rejectUnknown();
}

/** The addresses, each with its port. */
export function serversOf(options: MemcachedSessionOptions): readonly [string, ...string[]] {
  return ('servers' in options && readServers(options.servers)) || [`127.0.0.1:${DEFAULT_PORT}`];
}

/** The address of the server that a client of the application is for. */
export function serverOf({ options }: MemcacheClient): string {
  let { server } = options;
  while (typeof server === 'object') server = 'servers' in server ? (server.servers[0]?.server ?? '') : server.server;
  return server;
}

/** @returns undefined for what is no list of different addresses. */
function readServers(value: unknown): readonly [string, ...string[]] | undefined {
  const given: unknown[] = Array.isArray(value) ? value : [value];
  const servers = given.map(withPort).filter((server) => server !== undefined);
  const [first, ...others] = servers;
  return first !== undefined && new Set(servers).size === given.length ? [first, ...others] : undefined;
}

function withPort(address: unknown): string | undefined {
  const { host, port = DEFAULT_PORT } = (typeof address === 'string' && ADDRESS.exec(address)?.groups) || {};
  const isPort = Number(port) > 0 && Number(port) < 65_536;
  return host !== undefined && isPort ? `${host.toLowerCase()}:${Number(port)}` : undefined;
}

/** With several servers the client takes any of them at random: right for copies of one cache, wrong for sessions. */
function isSingleClient(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { send, options } = value as Partial<MemcacheClient>;
  if (typeof send !== 'function' || options === undefined) return false;
  const { server } = options;
  return !(typeof server === 'object' && 'servers' in server && server.servers.length > 1);
}
