import { TcpProxy } from '../../servers/index.js';
import { ApplicationProcess, type ClientOwner } from '../support/application-process.js';
import type { Store } from '../support/stores.js';

/** What a fault can be done to. */
export interface Scene {
  readonly store: Store;
  readonly proxy: TcpProxy | undefined;
  readonly applications: readonly ApplicationProcess[];
  close(): Promise<void>;
}

export const STORE_TIMEOUT = 1_000;

/** Applications over a store, with a proxy in between where the network is to misbehave. */
export async function buildScene(
  store: Store,
  { isProxied, applications, client }: { isProxied: boolean; applications: number; client: ClientOwner },
): Promise<Scene> {
  const proxy = isProxied && store.server ? await TcpProxy.start(() => store.server!.port) : undefined;
  const options = { storeTimeout: `${STORE_TIMEOUT}ms` as const, ...store.session(proxy?.port) };
  const running = await Promise.all(Array.from({ length: applications }, () => ApplicationProcess.start(options, { client })));
  return {
    store,
    proxy,
    applications: running,
    close: async () => {
      await Promise.all(running.map((application) => application.close()));
      await proxy?.stop();
    },
  };
}
