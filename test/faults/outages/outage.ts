import { setTimeout as sleep } from 'node:timers/promises';
import type { ApplicationProcess } from '../support/application-process.js';
import type { Resources } from '../support/application.child.js';
import type { StoreName, Store } from '../support/stores.js';
import { type Audit, Crowd } from './crowd.js';
import type { Fault } from './faults.js';
import { buildScene, type Scene } from './scene.js';

export interface OutageResult extends Audit {
  readonly store: string;
  readonly fault: string;
  readonly durable: boolean;
  /** Milliseconds from the end of the fault until all clients were served. */
  readonly recovery: number;
  /** Of the application, at rest, before and after. */
  readonly before: Resources | undefined;
  readonly after: Resources | undefined;
  /** Milliseconds in which the applications could do nothing because the machine was busy. */
  readonly stall: number;
}

/** A back end under load, before, while and after something goes wrong. */
export async function runOutage(name: StoreName | string, store: Store, fault: Fault, milliseconds: number): Promise<OutageResult> {
  const scene = await buildScene(store, { isProxied: fault.isProxied ?? false, applications: fault.applications ?? 1 });
  try {
    const crowd = new Crowd(scene.applications.map(({ url }) => url));
    crowd.start();
    await crowd.recovery();
    await sleep(500);
    await crowd.stop();
    const before = await atRest(scene, fault);
    crowd.start();
    await crowd.recovery();
    await fault.happen(scene, milliseconds);
    const recovery = await crowd.recovery();
    await sleep(300);
    await crowd.stop();
    const audit = await crowd.audit();
    await crowd.stop();
    const after = await atRest(scene, fault);
    const resources = await Promise.all(alive(scene, fault).map((application) => application.resources()));
    const stall = Math.max(...resources.map(({ longestStall }) => longestStall));
    return { store: name, stall, fault: fault.name, durable: store.durable, recovery, before, after, ...audit };
  } finally {
    await scene.close();
  }
}

function alive({ applications }: Scene, { endsApplication = false }: Fault): readonly ApplicationProcess[] {
  return endsApplication ? applications.slice(1) : applications;
}

async function atRest({ applications }: Scene, { endsApplication = false }: Fault): Promise<Resources | undefined> {
  if (endsApplication) return undefined;
  await sleep(300);
  return applications[0]?.resources();
}
