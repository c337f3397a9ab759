import { setTimeout as sleep } from 'node:timers/promises';
import type { Scene } from './scene.js';

/** Something that goes wrong for a while. */
export interface Fault {
  readonly name: string;
  /** Behind a proxy, for faults of the network. */
  readonly isProxied?: boolean;
  readonly applications?: number;
  /** Whether it ends processes of the store, so that only a durable one keeps what it had. */
  readonly endsStore?: boolean;
  /** Whether the applications that were there are there in the end. */
  readonly endsApplication?: boolean;
  /** Does it and heals it. @param milliseconds for which it lasts. */
  happen(scene: Scene, milliseconds: number): Promise<void>;
}

const server = ({ store }: Scene): NonNullable<Scene['store']['server']> => {
  if (store.server === undefined) throw new Error('this store has no server');
  return store.server;
};

const proxy = (scene: Scene): NonNullable<Scene['proxy']> => {
  if (scene.proxy === undefined) throw new Error('this scene has no proxy');
  return scene.proxy;
};

export const SERVER_FAULTS: readonly Fault[] = [
  {
    name: 'killed and restarted',
    endsStore: true,
    happen: async (scene, milliseconds) => {
      await server(scene).kill();
      await sleep(Math.min(milliseconds, 2_000));
      await server(scene).restart();
    },
  },
  {
    name: 'stopped (SIGSTOP)',
    happen: async (scene, milliseconds) => {
      await server(scene).pause();
      await sleep(milliseconds);
      await server(scene).resume();
    },
  },
  {
    name: 'connections cut within a reply',
    isProxied: true,
    happen: async (scene, milliseconds) => {
      const end = Date.now() + Math.min(milliseconds, 5_000);
      for (let bytes = 1; Date.now() < end; bytes += 7) {
        proxy(scene).cutAfterBytes(bytes % 150);
        await sleep(100);
      }
      await proxy(scene).heal();
    },
  },
  {
    name: 'all connections reset',
    isProxied: true,
    happen: async (scene, milliseconds) => {
      const end = Date.now() + Math.min(milliseconds, 3_000);
      while (Date.now() < end) {
        proxy(scene).cut();
        await sleep(250);
      }
    },
  },
  {
    name: 'delayed by 300 ms',
    isProxied: true,
    happen: async (scene, milliseconds) => {
      proxy(scene).delay(150);
      await sleep(milliseconds);
      await proxy(scene).heal();
    },
  },
  {
    name: 'network drops everything',
    isProxied: true,
    happen: async (scene, milliseconds) => {
      proxy(scene).drop();
      await sleep(milliseconds);
      await proxy(scene).heal();
    },
  },
];

export const APPLICATION_KILLED: Fault = {
  name: 'application killed (-9)',
  applications: 2,
  endsApplication: true,
  happen: async ({ applications }) => {
    await applications[0]?.kill();
  },
};
