import type { Redis } from 'ioredis';
import { pauseFor } from './pause-for.js';
import { askRedis } from './redis-recipe.js';
import type { TestServer } from './test-server.js';

const SLOTS = 16_384;
const LIMIT = 30_000;

/** Makes one cluster out of empty nodes; done by hand because redis-cli may not be installed. */
export async function formCluster(masters: readonly TestServer[], replicas: readonly TestServer[]): Promise<void> {
  const nodes = [...masters, ...replicas];
  const [first] = masters;
  if (first === undefined) throw new Error('a cluster needs at least one master');
  await Promise.all(
    masters.map((master, index) =>
      askRedis(master.url, async (client) => {
        // Distinct epochs from the start spare the nodes a conflict to resolve.
        await client.call('CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1));
        await client.call('CLUSTER', 'ADDSLOTS', ...slotsOf(index, masters.length));
      }),
    ),
  );
  // Everybody meets everybody: faster than waiting for the gossip to go round.
  await Promise.all(
    nodes.map((node) =>
      askRedis(node.url, async (client) => {
        for (const other of nodes) {
          if (other !== node) await client.call('CLUSTER', 'MEET', other.host, String(other.port));
        }
      }),
    ),
  );
  await everywhere(nodes, 'know all the others', async (client) => (await linesOf(client)).every(isConnected(nodes.length)));
  await Promise.all(replicas.map((replica, index) => follow(replica, masters, index)));
  await everywhere(nodes, 'find the cluster complete', async (client) => {
    const info = String(await client.call('CLUSTER', 'INFO'));
    const lines = await linesOf(client);
    const followers = lines.filter((line) => line.includes('slave')).length;
    return info.includes('cluster_state:ok') && followers === replicas.length;
  });
  await everywhere(replicas, 'be in step with its master', async (client) =>
    (await client.info('replication')).includes('master_link_status:up'),
  );
}

function slotsOf(index: number, count: number): string[] {
  const from = Math.floor((index * SLOTS) / count);
  const to = Math.floor(((index + 1) * SLOTS) / count);
  return Array.from({ length: to - from }, (_unused, offset) => String(from + offset));
}

async function follow(replica: TestServer, masters: readonly TestServer[], index: number): Promise<void> {
  const master = masters[index % masters.length];
  if (master === undefined) return;
  const id = await askRedis(master.url, (client) => client.call('CLUSTER', 'MYID'));
  await askRedis(replica.url, (client) => client.call('CLUSTER', 'REPLICATE', String(id)));
}

/** One line per node that this node knows of. */
async function linesOf(client: Redis): Promise<string[]> {
  return String(await client.call('CLUSTER', 'NODES'))
    .trim()
    .split('\n');
}

function isConnected(expected: number) {
  return (line: string, _index: number, lines: readonly string[]): boolean =>
    lines.length === expected && line.includes(' connected') && !line.includes('handshake');
}

async function everywhere(nodes: readonly TestServer[], what: string, check: (client: Redis) => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + LIMIT;
  await Promise.all(
    nodes.map((node) =>
      askRedis(node.url, async (client) => {
        while (!(await check(client))) {
          if (Date.now() > deadline) {
            throw new Error(`the cluster node on port ${node.port} did not ${what} in ${LIMIT} ms`);
          }
          await pauseFor(25);
        }
      }),
    ),
  );
}
