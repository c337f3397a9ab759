import { TcpProxy } from '../../test/servers/index.js';

/** Delays what a store is told and what it answers; a process of its own, so that this costs nobody else's time. */
export interface ProxyTask {
  readonly host: string;
  readonly port: number;
  /** Added to each direction, in milliseconds. */
  readonly delay: number;
}

const { delay, ...target } = JSON.parse(process.argv[2] ?? '{}') as ProxyTask;
const proxy = await TcpProxy.start(target);
proxy.delay(delay);
process.on('disconnect', () => process.exit());
process.send?.({ port: proxy.port });
