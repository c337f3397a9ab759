import { hash } from 'node:crypto';
import type { RepositoryOptions } from '../repository.factory.js';
import { loadPackage } from '../../common/load-package.js';
import { MemcachedNode } from './memcached.node.js';
import { serverOf, serversOf } from './memcached.options.js';

/**
 * All servers. A key belongs to one of them for ever: where that server is down, its sessions are out of reach, and not absent.
 * Elsewhere they would be absent, which logs users out, and come back out of date when their server does.
 */
export class MemcachedNodes {
  private constructor(
    private readonly nodes: readonly [MemcachedNode, ...MemcachedNode[]],
    private readonly isOurs: boolean,
  ) {}

  /** @throws MissingPackageError when memcache-client is needed and not installed. */
  static async open({ memcached = {}, storeTimeout }: RepositoryOptions): Promise<MemcachedNodes> {
    if ('client' in memcached)
      return new MemcachedNodes([new MemcachedNode(serverOf(memcached.client), memcached.client, storeTimeout)], false);
    const { MemcacheClient } = await loadPackage(() => import('memcache-client'), "type 'memcached'", 'memcache-client');
    // A client a server: the servers of one client are copies of each other to it, and it takes any of them.
    const open = (server: string): MemcachedNode => {
      // The time of a command is watched by the node, whatever client it has.
      const limits = { connectTimeout: storeTimeout, cmdTimeout: 2 * storeTimeout };
      return new MemcachedNode(server, new MemcacheClient({ server, noDelay: true, ...limits }), storeTimeout);
    };
    const [first, ...others] = serversOf(memcached);
    return new MemcachedNodes([open(first), ...others.map(open)], true);
  }

  /** The server that a key belongs to. */
  of(key: string): MemcachedNode {
    return nodeFor(this.nodes, key);
  }

  /** Begins to connect, and does not wait for it: an application starts without its Memcached, and finds it later. */
  connect(): void {
    for (const node of this.nodes) void node.connect();
  }

  /** Closes the clients, unless the application owns them. */
  close(): void {
    if (this.isOurs) for (const node of this.nodes) node.close();
  }
}

/**
 * The node that a key belongs to, by rendezvous hashing ("highest random weight"): each node draws a number for the key, and the
 * highest wins. The order of the nodes does not matter, and a node more or less moves only the keys that it wins or leaves.
 */
export function nodeFor<T extends { readonly name: string }>(nodes: readonly [T, ...T[]], key: string): T {
  if (nodes.length === 1) return nodes[0];
  let [winner] = nodes;
  let highest = '';
  for (const node of nodes) {
    const drawn = hash('sha256', `${node.name} ${key}`);
    if (drawn <= highest) continue;
    highest = drawn;
    winner = node;
  }
  return winner;
}
