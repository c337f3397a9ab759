import { setTimeout as sleep } from 'node:timers/promises';
import type { Conditions } from '../support/conditions.js';
import type { Trait } from '../support/stores.js';
import type { Scene } from './scene.js';

/** Something that goes wrong for a while. */
export interface Fault {
  readonly name: string;
  /** What a store must have for it to happen there; every store has nothing. */
  readonly needs: Trait | 'nothing';
  /** Behind a proxy, for faults of the network. */
  readonly isProxied?: boolean;
  /** Whether it is what connections do: then it is of interest on a client of the application, too. */
  readonly isOfConnections?: boolean;
  readonly applications?: number;
  /** Whether it ends processes of the store, so that only a durable one keeps what it had. */
  readonly endsStore?: boolean;
  /** Whether the store has no room, so that one that evicts forgets sessions. */
  readonly isFull?: boolean;
  /** Whether the applications that were there are there in the end. */
  readonly endsApplication?: boolean;
  /** How many visitors without a session come a second meanwhile. */
  readonly newcomers?: number;
  /** Milliseconds that it lasts in the full run; 10 s unless told otherwise. */
  readonly full?: number;
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

/** A condition of the store that is turned on, and off again. */
const condition = (kind: keyof Conditions): Pick<Fault, 'needs' | 'happen'> => ({
  needs: kind,
  happen: async ({ store }, milliseconds) => {
    const turn = store.conditions?.[kind];
    if (turn === undefined) throw new Error(`this store cannot be made ${kind}`);
    await turn(true);
    try {
      await sleep(milliseconds);
    } finally {
      await turn(false);
    }
  },
});

export const KILLED: Fault = {
  name: 'killed and restarted',
  needs: 'server',
  isOfConnections: true,
  endsStore: true,
  full: 2_000,
  happen: async (scene, milliseconds) => {
    await server(scene).kill();
    await sleep(milliseconds);
    await server(scene).restart();
  },
};

export const HUNG: Fault = {
  name: 'hung (SIGSTOP) for 25 s',
  needs: 'server',
  isOfConnections: true,
  newcomers: 50,
  full: 25_000,
  happen: async (scene, milliseconds) => {
    await server(scene).pause();
    await sleep(milliseconds);
    await server(scene).resume();
  },
};

export const CUT_WITHIN_REPLY: Fault = {
  name: 'connections cut within a reply',
  needs: 'server',
  isProxied: true,
  full: 5_000,
  happen: async (scene, milliseconds) => {
    const end = Date.now() + milliseconds;
    for (let bytes = 1; Date.now() < end; bytes += 7) {
      proxy(scene).cutAfterBytes(bytes % 150);
      await sleep(100);
    }
    await proxy(scene).heal();
  },
};

export const APPLICATION_KILLED: Fault = {
  name: 'application killed (-9)',
  needs: 'nothing',
  applications: 2,
  endsApplication: true,
  happen: async ({ applications }) => {
    await applications[0]?.kill();
  },
};

/** What can go wrong, with every back end where it can. */
export const FAULTS: readonly Fault[] = [
  KILLED,
  HUNG,
  CUT_WITHIN_REPLY,
  {
    name: 'all connections reset',
    needs: 'server',
    isProxied: true,
    full: 3_000,
    happen: async (scene, milliseconds) => {
      const end = Date.now() + milliseconds;
      while (Date.now() < end) {
        proxy(scene).cut();
        await sleep(250);
      }
    },
  },
  {
    name: 'delayed by 300 ms',
    needs: 'server',
    isProxied: true,
    happen: async (scene, milliseconds) => {
      proxy(scene).delay(150);
      await sleep(milliseconds);
      await proxy(scene).heal();
    },
  },
  {
    name: 'network drops everything',
    needs: 'server',
    isProxied: true,
    isOfConnections: true,
    happen: async (scene, milliseconds) => {
      proxy(scene).drop();
      await sleep(milliseconds);
      await proxy(scene).heal();
    },
  },
  {
    name: 'connections half-open (forgotten by a NAT)',
    needs: 'server',
    isProxied: true,
    isOfConnections: true,
    full: 6_000,
    happen: async (scene, milliseconds) => {
      const end = Date.now() + milliseconds;
      for (;;) {
        // The last ones are forgotten in the end: what is measured is how long it takes to notice.
        proxy(scene).forget();
        if (Date.now() >= end) return;
        await sleep(3_000);
      }
    },
  },
  { name: 'full', isFull: true, isOfConnections: true, full: 5_000, ...condition('full') },
  { name: 'read-only', isOfConnections: true, full: 5_000, ...condition('readOnly') },
  { name: 'demoted (connections stay read-only)', isOfConnections: true, full: 5_000, ...condition('demoted') },
  APPLICATION_KILLED,
];

/** Those that can happen to a store. */
export function faultsFor(traits: readonly Trait[]): Fault[] {
  return FAULTS.filter(({ needs }) => needs === 'nothing' || traits.includes(needs));
}
