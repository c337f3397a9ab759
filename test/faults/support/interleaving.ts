import type { Scheduler } from 'fast-check';
import { SessionConflictError } from 'nestjs-server-session';
import { RecordCodec } from '../../../lib/storage/record.codec.js';
import { stateOf } from '../../../lib/session/server-session.js';
import { type OpenRequest, SimulatedProcess } from './simulated-process.js';
import { SteppingRepository } from './stepping.repository.js';

export type Action =
  | { readonly do: 'set'; readonly key: string; readonly value: number }
  | { readonly do: 'delete'; readonly key: string }
  /** Changes a value inside, without assigning the key. */
  | { readonly do: 'nest'; readonly key: string; readonly value: number }
  | { readonly do: 'save' }
  | { readonly do: 'regenerate' }
  | { readonly do: 'destroy' };

/** What one save changed, key by key, and when it was under way. */
export interface Unit {
  readonly changes: ReadonlyMap<string, string | undefined>;
  readonly from: number;
  readonly to: number;
}

export interface Outcome {
  /** The stored fields at first, and in the end as each process sees them under the id that the session has then. */
  readonly first: ReadonlyMap<string, string>;
  readonly last: ReadonlyMap<string, string>[];
  /** The changes of all saves that were answered with success. */
  readonly units: Unit[];
  readonly isDestroyed: boolean;
  /** Records of sessions, in contrast to notes about where one went or that it ended. */
  readonly liveRecords: number;
}

/** Two processes and their store, for any number of runs one after the other. */
export class TwoProcesses {
  private constructor(
    readonly store: SteppingRepository,
    readonly processes: readonly [SimulatedProcess, SimulatedProcess],
  ) {}

  static async start(): Promise<TwoProcesses> {
    const store = new SteppingRepository();
    return new TwoProcesses(store, [await SimulatedProcess.start(store), await SimulatedProcess.start(store)]);
  }
}

/** Runs the requests of one session, in two processes, with the store's commands in the order the scheduler chooses. */
export async function runInterleaved(
  { store, processes }: TwoProcesses,
  scheduler: Scheduler,
  requests: readonly (readonly Action[])[],
): Promise<Outcome> {
  await forgetAll(store);
  const id = await processes[0].begin({ a: 0, b: 0, list: [0] });
  const ids = [id];
  const first = await fieldsOf(processes[0], id);
  const units: Unit[] = [];
  let isDestroyed = false;
  let clock = 0;

  const run = async (actions: readonly Action[], process: SimulatedProcess): Promise<void> => {
    const request = await process.open(id);
    if (request.session.isNew) return;
    const state = stateOf(request.session);
    /** Notes what a save made of the changes so far. */
    const noting = async (save: () => Promise<unknown>): Promise<void> => {
      const changes = changesOf(request);
      const from = clock++;
      await save();
      if (state.phase !== 'ended' && changes.size > 0 && state.fields.changes().size === 0) units.push({ changes, from, to: clock++ });
    };
    for (const action of actions) {
      if (action.do === 'destroy') {
        await request.session.destroy();
        isDestroyed = true;
        break;
      }
      if (action.do === 'save') await noting(() => request.session.save());
      else if (action.do === 'regenerate') await noting(() => request.session.regenerate().catch(onlyConflicts));
      else change(request, action);
    }
    await noting(async () => {
      const answer = await request.finish();
      if (typeof answer === 'object') ids.push(answer.id);
    });
  };

  const step = (): Promise<void> => scheduler.schedule(Promise.resolve());
  store.before = step;
  store.after = step;
  await scheduler.waitFor(Promise.all(requests.map((actions, index) => run(actions, processes[index % 2 === 0 ? 0 : 1]))));
  store.before = () => undefined;
  store.after = () => undefined;

  const last: ReadonlyMap<string, string>[] = [];
  for (const process of processes) {
    for (const sid of ids) {
      const found = await fieldsOf(process, sid);
      if (found.size > 0) last.push(found);
    }
  }
  return { first, last, units, isDestroyed, liveRecords: await liveRecords(store) };
}

/** Whether the units, one after the other in some order that agrees with their times, lead from the first state to the last. */
export function isExplained({ first, last, units }: Outcome): boolean {
  const [state] = last;
  if (state === undefined || last.some((other) => !isSame(other, state))) return false;
  return someOrder([...units], first, state);
}

function someOrder(left: readonly Unit[], state: ReadonlyMap<string, string>, goal: ReadonlyMap<string, string>): boolean {
  if (left.length === 0) return isSame(state, goal);
  return left.some((unit) => {
    const others = left.filter((other) => other !== unit);
    // What was answered before this one began cannot come after it.
    if (others.some((other) => other.to < unit.from)) return false;
    return someOrder(others, applied(state, unit), goal);
  });
}

function applied(state: ReadonlyMap<string, string>, { changes }: Unit): ReadonlyMap<string, string> {
  const next = new Map(state);
  for (const [key, value] of changes) {
    if (value === undefined) next.delete(key);
    else next.set(key, value);
  }
  return next;
}

function isSame(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return a.size === b.size && [...a].every(([key, value]) => b.get(key) === value);
}

function change({ session }: OpenRequest, action: Action): void {
  if (action.do === 'set') session.set(action.key, action.value);
  else if (action.do === 'delete') session.delete(action.key);
  else if (action.do === 'nest') session.get<number[]>('list')?.push(action.value);
}

function changesOf({ session }: OpenRequest): Map<string, string | undefined> {
  return new Map(Array.from(stateOf(session).fields.changes(), ([key, bytes]) => [key, bytes?.toString()]));
}

async function fieldsOf(process: SimulatedProcess, id: string): Promise<ReadonlyMap<string, string>> {
  const { session } = await process.open(id);
  // An id that was regenerated shows what the session was then.
  if (stateOf(session).phase !== 'stored') return new Map();
  return new Map(Array.from(stateOf(session).fields.serialized(), ([key, bytes]) => [key, bytes.toString()]));
}

async function forgetAll({ memory }: SteppingRepository): Promise<void> {
  const { records } = await memory.list({ limit: 1000 });
  for (const { handle } of records) await memory.delete(handle);
}

async function liveRecords({ memory }: SteppingRepository): Promise<number> {
  const codec = new RecordCodec();
  const { records } = await memory.list({ limit: 1000 });
  return records.filter(({ handle, payload }) => codec.decode(handle, payload).kind === 'session').length;
}

function onlyConflicts(error: unknown): void {
  if (!(error instanceof SessionConflictError)) throw error;
}
