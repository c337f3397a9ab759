import { createServer } from 'node:net';

// Below the range that the kernel gives to outgoing connections (from 32768 on Linux), so that no
// client takes the port of a server that is down for a moment. A Redis cluster node also needs its
// port + 10000, which is above every port given out here and still below that range.
const FIRST = 12_000;
const COUNT = 10_000;
const CLUSTER_BUS_OFFSET = 10_000;

const given = new Set<number>();

/** A port on the loopback interface that nobody listens on. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const port = FIRST + Math.floor(Math.random() * COUNT);
    if (given.has(port)) continue;
    if ((await isFree(port)) && (await isFree(port + CLUSTER_BUS_OFFSET))) {
      given.add(port);
      return port;
    }
  }
  throw new Error(`no free port found between ${FIRST} and ${FIRST + COUNT}`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      server.close(() => resolve(true));
    });
  });
}
