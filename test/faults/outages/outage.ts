import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientOwner } from '../support/application-process.js';
import type { Resources } from '../support/application.child.js';
import type { Store } from '../support/stores.js';
import { type Audit, Crowd } from './crowd.js';
import type { Fault } from './faults.js';
import { MemoryWatch } from './memory-watch.js';
import { Newcomers } from './newcomers.js';
import { Pace } from './pace.js';
import { buildScene, type Scene, STORE_TIMEOUT } from './scene.js';

export interface OutageResult extends Audit {
  readonly store: string;
  readonly client: ClientOwner | undefined;
  readonly fault: string;
  readonly durable: boolean;
  /** Milliseconds from the end of the fault until all clients were served. */
  readonly recovery: number;
  /** Log-outs that were acknowledged while it lasted. */
  readonly endedMeanwhile: number;
  /** Of the application, at rest, before and after. */
  readonly before: Resources | undefined;
  readonly after: Resources | undefined;
  /** Milliseconds by which the machine was late at the most, because it was busy. */
  readonly lateness: number;
  readonly newcomers: { readonly refused: number; readonly storedAfterwards: number; readonly memory: number } | undefined;
}

/** A back end under load, before, while and after something goes wrong. */
export async function runOutage(
  name: string,
  store: Store,
  fault: Fault,
  milliseconds: number,
  client: ClientOwner = 'own',
): Promise<OutageResult> {
  const scene = await buildScene(store, { isProxied: fault.isProxied ?? false, applications: fault.applications ?? 1, client });
  const pace = new Pace(scene.applications.at(-1)!.url);
  try {
    const crowd = new Crowd(scene.applications.map(({ url }) => url));
    crowd.start();
    await crowd.recovery();
    await sleep(500);
    await crowd.stop();
    const before = await atRest(scene, fault);
    crowd.start();
    await crowd.recovery();
    const endedBefore = crowd.ended;
    const newcomers = await duringFault(scene, fault, milliseconds);
    const patience = 2 * STORE_TIMEOUT + pace.lateness;
    crowd.mustBeServedIn(patience);
    const endedMeanwhile = crowd.ended - endedBefore;
    const recovery = await crowd.recovery();
    // Until then a request may fail, and after that none may.
    await sleep(Math.max(0, patience - recovery) + 500);
    await crowd.stop();
    const audit = await crowd.audit();
    await crowd.stop();
    // Also closes the connections of the newcomers.
    const visits = await newcomers?.visits.audit();
    const after = await atRest(scene, fault);
    return {
      store: name,
      client: store.server && client,
      fault: fault.name,
      durable: store.durable,
      recovery,
      endedMeanwhile,
      before,
      after,
      lateness: pace.lateness,
      ...audit,
      newcomers: newcomers && visits && { ...visits, memory: newcomers.memory },
    };
  } finally {
    await pace.stop();
    await scene.close();
  }
}

async function duringFault(scene: Scene, fault: Fault, milliseconds: number): Promise<{ visits: Newcomers; memory: number } | undefined> {
  const [application] = scene.applications;
  if (fault.newcomers === undefined || application === undefined) return void (await fault.happen(scene, milliseconds));
  const memory = new MemoryWatch(application);
  const visits = new Newcomers(application.url, fault.newcomers);
  await fault.happen(scene, milliseconds);
  void visits.stop();
  return { visits, memory: await memory.stop() };
}

async function atRest({ applications }: Scene, { endsApplication = false }: Fault): Promise<Resources | undefined> {
  if (endsApplication) return undefined;
  await sleep(300);
  return applications[0]?.resources();
}
