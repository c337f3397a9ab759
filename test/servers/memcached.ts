import { connect } from 'node:net';
import type { Recipe } from './recipe.js';
import { startServer } from './start-server.js';
import type { ServerGroup, TestServer } from './test-server.js';

export interface MemcachedOptions {
  /** More arguments, such as `-m 8` (as separate words); they win over those of the harness. */
  readonly args?: readonly string[];
}

export interface MemcachedTestGroup extends ServerGroup {
  /** The addresses of all nodes, as in `MEMCACHED_SERVERS`: "host:port,host:port". */
  readonly servers: string;
}

export async function startMemcached(options: MemcachedOptions = {}): Promise<TestServer> {
  return startServer(recipe(options), {
    externalUrl: externalUrls()[0],
    needsOwn: { args: options.args },
  });
}

/** Several memcached servers that know nothing of each other, for clients that share keys out. */
export async function startMemcachedNodes(count: number, options: MemcachedOptions = {}): Promise<MemcachedTestGroup> {
  const external = externalUrls();
  if (external.length > 0 && external.length < count) {
    throw new Error(`${count} memcached servers are needed, MEMCACHED_SERVERS names ${external.length}: ` + 'name more, or unset it');
  }
  const starts = await Promise.allSettled(
    Array.from({ length: count }, (_unused, index) =>
      startServer(recipe(options), {
        externalUrl: external[index],
        needsOwn: { args: options.args },
      }),
    ),
  );
  const nodes = starts.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []));
  const stop = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node.stop()));
  };
  const failed = starts.find((start) => start.status === 'rejected');
  if (failed !== undefined) {
    await stop();
    throw failed.reason;
  }
  const servers = nodes.map((node) => `${node.host}:${node.port}`).join(',');
  return { kind: 'memcached', nodes, servers, stop };
}

function recipe({ args = [] }: MemcachedOptions): Recipe {
  // Two threads are plenty; without -U 0 older versions also answer on UDP.
  const common = ['-U', '0', '-t', '2', ...args];
  // It refuses to run as root without being told that this is meant.
  const asRoot = process.getuid?.() === 0 ? ['-u', 'root'] : [];
  return {
    kind: 'memcached',
    keepsData: () => false,
    args: ({ port }) => ['-l', '127.0.0.1', '-p', String(port), ...asRoot, ...common],
    container: { innerPort: 11211, args: () => ['memcached', ...common] },
    url: (port) => `memcached://127.0.0.1:${port}`,
    probe: (url) => askVersion(new URL(url)),
  };
}

function externalUrls(): string[] {
  return (process.env['MEMCACHED_SERVERS'] ?? '')
    .split(',')
    .map((server) => server.trim())
    .filter((server) => server !== '')
    .map((server) => `memcached://${server}`);
}

function askVersion({ hostname, port }: URL): Promise<string> {
  return new Promise((resolve, reject) => {
    let reply = '';
    const socket = connect(Number(port || 11211), hostname, () => socket.write('version\r\n'));
    socket.setTimeout(2000, () => socket.destroy(new Error('memcached did not answer in 2 s')));
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      reply += text;
      const version = /^VERSION (\S+)\r\n/.exec(reply)?.[1];
      if (version === undefined) return;
      resolve(version);
      socket.destroy();
    });
    socket.on('error', reject);
    socket.on('close', () => reject(new Error(`memcached closed the connection: "${reply}"`)));
  });
}
