import type { ResolvedSessionOptions } from '../../options/resolved-options.js';
import { loadPackage } from '../../common/load-package.js';
import { MemcachedNode } from './memcached.node.js';
import { serversOf } from './memcached.options.js';
import { nodeFor } from './rendezvous.js';

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
  static async open({ memcached = {}, storeTimeout }: ResolvedSessionOptions): Promise<MemcachedNodes> {
    if ('client' in memcached) return new MemcachedNodes([new MemcachedNode('of the application', memcached.client, storeTimeout)], false);
    const { MemcacheClient } = await loadPackage(() => import('memcache-client'), "type 'memcached'", 'memcache-client');
    // A client a server: the servers of one client are copies of each other to it, and it takes any of them.
    const open = (server: string): MemcachedNode => {
      const limits = { connectTimeout: storeTimeout, cmdTimeout: storeTimeout };
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
