import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { askRedis, redisRecipe } from './redis-recipe.js';
import { startServer } from './start-server.js';
import type { TestServer } from './test-server.js';

const CONFIG = 'sentinel.conf';

/** One Sentinel that watches a primary and its replicas, and may decide on its own. It runs where the primary does. */
export async function startRedisSentinel(name: string, primary: TestServer): Promise<TestServer> {
  const config = [
    `sentinel monitor ${name} ${primary.host} ${primary.port} 1`,
    `sentinel down-after-milliseconds ${name} 500`,
    `sentinel failover-timeout ${name} 5000`,
  ].join('\n');
  const args = (port: number): string[] => ['--sentinel', '--port', String(port), '--bind', '127.0.0.1'];
  const script = (port: number): string => `echo '${config}' > /tmp/${CONFIG} && exec redis-server /tmp/${CONFIG} ${args(port).join(' ')}`;
  return startServer(
    {
      ...redisRecipe(),
      // Sentinel keeps what it learns in the file of its configuration, so there must be one.
      prepare: ({ data }) => writeFile(join(dirname(data), CONFIG), `${config}\n`),
      args: ({ port }) => [CONFIG, ...args(port)],
      container: { innerPort: 26379, hostNetwork: true, args: (port) => ['sh', '-c', script(port)] },
      probe: async (url) => /^redis_version:(\S+)/m.exec(await askRedis(url, (client) => client.info('server')))?.[1] ?? 'unknown',
    },
    { alwaysOwn: true },
  );
}
