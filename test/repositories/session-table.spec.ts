import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { NONE, SessionTable } from '../../lib/repositories/memory/session-table.js';

interface Session {
  readonly payload: Buffer;
  readonly principal: string | undefined;
  readonly version: number;
  readonly expiry: number;
}

/** The same with a `Map`, which keeps what was used last at its end. */
type Model = Map<string, Session>;

const handles = fc.constantFrom(...Array.from({ length: 150 }, (_unused, index) => `handle-${index}`), 'a', 'A', '__proto__', '0');
const payloads = fc.uint8Array({ maxLength: 20 });
const principals = fc.constantFrom(undefined, 'ann', 'bob', 'Böb', '\n', '💡', '__proto__');
const expiries = fc.integer({ min: 0, max: 1_000 });
const steps = fc.array(fc.tuple(fc.constantFrom('write', 'write', 'touch', 'remove'), handles, payloads, principals, expiries), {
  minLength: 1,
  maxLength: 400,
});

function step(
  table: SessionTable,
  model: Model,
  [kind, handle, payload, principal, expiry]: [string, string, Uint8Array, string | undefined, number],
): void {
  const slot = table.find(handle);
  const before = model.get(handle);
  expect(slot === NONE).toBe(before === undefined);
  if (before === undefined) {
    if (kind !== 'write') return;
    table.add(handle, payload, principal, expiry);
    model.set(handle, { payload: Buffer.from(payload), principal, version: 1, expiry });
    return;
  }
  model.delete(handle);
  if (kind === 'remove') return table.remove(slot);
  table.touch(slot, expiry);
  if (kind === 'write') table.replace(slot, payload, principal);
  model.set(
    handle,
    kind === 'write' ? { payload: Buffer.from(payload), principal, version: before.version + 1, expiry } : { ...before, expiry },
  );
}

function expectSame(table: SessionTable, model: Model): void {
  expect(table.size).toBe(model.size);
  expect(table.bytes).toBe([...model.values()].reduce((sum, { payload }) => sum + payload.length, 0));
  for (const [handle, { payload, principal, version, expiry }] of model) {
    const slot = table.find(handle);
    expect([table.handleOf(slot), table.principalOf(slot), table.versionOf(slot), table.expiryOf(slot)]).toEqual([
      handle,
      principal,
      version,
      expiry,
    ]);
    expect(Buffer.compare(table.payloadOf(slot), payload)).toBe(0);
  }
  const handlesOf = (slots: Iterable<number>): string[] => [...slots].map((slot) => table.handleOf(slot)).sort();
  expect(handlesOf(table.after(NONE))).toEqual([...model.keys()].sort());
  for (const name of ['ann', 'bob', 'Böb', '\n', '💡', '__proto__', 'nobody'])
    expect(handlesOf(table.of(name))).toEqual(
      [...model]
        .filter(([, { principal }]) => principal === name)
        .map(([handle]) => handle)
        .sort(),
    );
  const { longestUnused, firstToExpire } = table;
  expect(longestUnused === NONE ? undefined : table.handleOf(longestUnused)).toBe(model.keys().next().value);
  const soonest = Math.min(...[...model.values()].map(({ expiry }) => expiry));
  expect(firstToExpire === undefined ? Infinity : table.expiryOf(firstToExpire)).toBe(soonest);
}

describe('The table of sessions in memory', () => {
  it('is as a map would be, whatever is done to it', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const [table, model]: [SessionTable, Model] = [new SessionTable(), new Map()];
        for (const one of all) step(table, model, one);
        expectSame(table, model);
      }),
      { numRuns: 200 },
    );
  });

  it('gives sessions in the order of their expiry, and of their use', () => {
    const table = new SessionTable();
    const order = Array.from({ length: 500 }, (_unused, index) => (index * 7_919) % 500);
    for (const expiry of order) table.add(`h${expiry}`, Buffer.alloc(0), undefined, expiry);
    const used = [];
    for (let count = 0; count < 250; count++) {
      used.push(table.handleOf(table.longestUnused));
      table.remove(table.longestUnused);
    }
    expect(used).toEqual(order.slice(0, 250).map((expiry) => `h${expiry}`));
    const expiring = [];
    for (let slot = table.firstToExpire; slot !== undefined; slot = table.firstToExpire) {
      expiring.push(table.expiryOf(slot));
      table.remove(slot);
    }
    expect(expiring).toEqual(order.slice(250).sort((a, b) => a - b));
  });

  it('lists the sessions of a principal in the order in which they became so', () => {
    const table = new SessionTable();
    for (const handle of ['a', 'b', 'c']) table.add(handle, Buffer.alloc(0), 'ann', 1);
    table.replace(table.find('a'), Buffer.alloc(0), 'bob');
    table.replace(table.find('a'), Buffer.alloc(0), 'ann');
    expect([...table.of('ann')].map((slot) => table.handleOf(slot))).toEqual(['b', 'c', 'a']);
  });
});
