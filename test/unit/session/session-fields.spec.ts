import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { SessionSerializationError } from '../../../lib/errors.js';
import { JsonSerializer } from '../../../lib/storage/serializers.js';
import { applyChanges, type FieldChanges, type SerializedFields } from '../../../lib/storage/record.codec.js';
import { SessionFields } from '../../../lib/session/session-fields.js';
import { FUZZ_RUNS } from '../../support/fuzz.js';

const serializer = new JsonSerializer();
const bytesOf = (value: unknown): Buffer => Buffer.from(serializer.serialize(value) ?? '');

function stored(values: Record<string, unknown>): Map<string, Buffer> {
  return new Map(Object.entries(values).map(([key, value]) => [key, bytesOf(value)]));
}

function open(fields: SerializedFields = new Map(), damaged: string[] = []): SessionFields {
  return new SessionFields(serializer, (key) => damaged.push(key), fields);
}

/** What the changes are, readable. */
const shown = (changes: FieldChanges): Record<string, unknown> =>
  Object.fromEntries(Array.from(changes, ([key, bytes]) => [key, bytes === undefined ? undefined : serializer.deserialize(bytes)]));

const valuesOf = (fields: SessionFields): Map<string, unknown> => new Map(Array.from(fields.keys(''), (key) => [key, fields.get(key)]));

/** A data value: mutable inside, or not. */
const values = fc.oneof(
  fc.integer({ min: 0, max: 3 }),
  fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 2 }).map((list) => ({ list })),
);
const keys = fc.constantFrom<string[]>('.a', '.b', '.__proto__', '.constructor');

interface Mutable {
  list: number[];
}
const isMutable = (value: unknown): value is Mutable => typeof value === 'object' && value !== null;

/** A request that works with its fields beside a plain Map, and others that change what is stored meanwhile. */
class Run {
  readonly fields: SessionFields;
  readonly model: Map<string, unknown>;
  store: SerializedFields;

  constructor(initial: SerializedFields) {
    this.store = initial;
    this.fields = open(initial);
    this.model = new Map(Array.from(initial, ([key, bytes]) => [key, serializer.deserialize(bytes)]));
    this.base = initial;
  }
  /** What the request last knew to be stored. */
  private base: SerializedFields;

  expected(): FieldChanges {
    const changes = new Map<string, Buffer | undefined>();
    for (const [key, value] of this.model) if (!this.base.get(key)?.equals(bytesOf(value))) changes.set(key, bytesOf(value));
    for (const key of this.base.keys()) if (!this.model.has(key)) changes.set(key, undefined);
    return changes;
  }

  /** A save: others may have been at the store before, and the request may go on while it is under way. */
  save(meanwhile: (run: Run) => void): void {
    const changes = this.fields.changes();
    this.store = applyChanges(this.store, changes);
    const before = new Map(this.model);
    const beforeBytes = new Map(Array.from(before, ([key, value]) => [key, bytesOf(value)]));
    meanwhile(this);
    this.fields.rebase(this.store, changes);
    for (const key of new Set([...this.store.keys(), ...before.keys()])) {
      const now = this.model.has(key) ? bytesOf(this.model.get(key)) : undefined;
      const then = beforeBytes.get(key);
      const isUntouched = now === then || (now !== undefined && then !== undefined && now.equals(then));
      const inStore = this.store.get(key);
      if (!isUntouched) continue;
      if (inStore === undefined) this.model.delete(key);
      else if (now === undefined || !inStore.equals(now)) this.model.set(key, serializer.deserialize(inStore));
    }
    this.base = this.store;
  }
}

type Step = (run: Run) => void;

const ownSteps: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(keys, values).map(([key, value]): Step => (run) => {
    run.fields.set(key, structuredClone(value));
    run.model.set(key, structuredClone(value));
  }),
  keys.map((key): Step => (run) => {
    expect(run.fields.delete(key)).toBe(run.model.delete(key));
  }),
  keys.map((key): Step => (run) => {
    expect(run.fields.get(key)).toEqual(run.model.get(key));
    expect(run.fields.has(key)).toBe(run.model.has(key));
  }),
  fc.tuple(keys, fc.nat(3)).map(([key, item]): Step => (run) => {
    for (const value of [run.fields.get(key), run.model.get(key)]) if (isMutable(value)) value.list.push(item);
  }),
  keys.map((key): Step => (run) => {
    for (const value of [run.fields.get(key), run.model.get(key)]) if (isMutable(value)) value.list.pop();
  }),
);

const othersStep: fc.Arbitrary<Step> = fc.tuple(keys, fc.option(values)).map(([key, value]): Step => (run) => {
  run.store = applyChanges(run.store, new Map([[key, value === null ? undefined : bytesOf(value)]]));
});

const saveStep: fc.Arbitrary<Step> = fc.array(ownSteps, { maxLength: 3 }).map(
  (meanwhile): Step =>
    (run) =>
      run.save(() => meanwhile.forEach((step) => step(run))),
);

const stores = fc.dictionary(keys, values).map(stored);

describe('The fields of a session', () => {
  it('are what a plain Map would be, through reads, sets, deletions, changes inside, and saves beside those of others', () => {
    const steps = fc.array(
      fc.oneof({ weight: 5, arbitrary: ownSteps }, { weight: 1, arbitrary: othersStep }, { weight: 2, arbitrary: saveStep }),
      {
        maxLength: 25,
      },
    );
    fc.assert(
      fc.property(stores, steps, (initial, sequence) => {
        const run = new Run(initial);
        for (const step of sequence) {
          step(run);
          expect(shown(run.fields.changes())).toEqual(shown(run.expected()));
        }
        expect(valuesOf(run.fields)).toEqual(run.model);
      }),
      { numRuns: FUZZ_RUNS },
    );
  });

  it('have no changes where the serialized form is the same: set to what it was, changed and changed back', () => {
    const fields = open(stored({ '.a': { list: [1] }, '.b': 2 }));
    (fields.get('.a') as Mutable).list.push(2);
    (fields.get('.a') as Mutable).list.pop();
    fields.set('.b', 2);
    fields.set('.c', 3);
    fields.delete('.c');
    fields.set('.d', undefined);
    expect(fields.changes().size).toBe(0);
    fields.set('.b', undefined);
    expect(shown(fields.changes())).toEqual({ '.b': undefined });
    expect(fields.has('.b')).toBe(false);
  });

  it('do not decode what nobody reads', () => {
    const damaged: string[] = [];
    const fields = open(new Map([['.never-read', Buffer.from('{')]]), damaged);
    fields.set('.other', 1);
    expect(shown(fields.changes())).toEqual({ '.other': 1 });
    expect(damaged).toEqual([]);
  });

  describe('with a damaged value', () => {
    const broken = (): Map<string, Buffer> => new Map([['.bad', Buffer.from('{"a":')], ...stored({ '.good': 1 })]);

    it('read it as absent, tell of it once, and leave it alone', () => {
      const damaged: string[] = [];
      const fields = open(broken(), damaged);
      expect([fields.get('.bad'), fields.get('.bad'), fields.has('.bad')]).toEqual([undefined, undefined, false]);
      expect([...fields.keys('.')]).toEqual(['.good']);
      expect(damaged).toEqual(['bad']);
      expect(fields.changes().size).toBe(0);
      expect(fields.serialized()).toEqual(broken());
    });

    it('take a new one, or its deletion', () => {
      const fields = open(broken());
      fields.get('.bad');
      fields.set('.bad', 'new');
      expect(shown(fields.changes())).toEqual({ '.bad': 'new' });
      const others = open(broken());
      others.get('.bad');
      expect(others.delete('.bad')).toBe(false);
      expect([...others.changes().keys()]).toEqual(['.bad']);
    });

    it('drop it with all else, and have all back where that is undone', () => {
      const fields = open(broken());
      fields.get('.bad');
      const undo = fields.drop(() => true);
      expect(shown(fields.changes())).toEqual({ '.bad': undefined, '.good': undefined });
      undo();
      expect([fields.changes().size, fields.serialized()]).toEqual([0, broken()]);
    });

    it('read what another request wrote there meanwhile', () => {
      const fields = open(broken());
      fields.get('.bad');
      fields.rebase(stored({ '.bad': 'healed', '.good': 1 }), new Map());
      expect(fields.get('.bad')).toBe('healed');
    });
  });

  it('name the key that cannot be serialized, and say why', () => {
    const fields = open();
    const own: unknown[] = [];
    own.push(own);
    fields.set('.tree', own);
    expect(() => fields.changes()).toThrow(SessionSerializationError);
    expect(() => fields.changes()).toThrow(/the session key 'tree' cannot be serialized: it contains itself or is nested too deeply/);
  });

  describe('once a save is done,', () => {
    it('keep a value that became unserializable meanwhile, for the next save to refuse', () => {
      const fields = open(stored({ '.a': { list: [] }, '.b': 1 }));
      const value = fields.get('.a') as { list: unknown[] };
      value.list.push(value);
      fields.rebase(stored({ '.a': { list: [9] }, '.b': 2 }), new Map());
      expect(fields.get('.a')).toBe(value);
      expect(fields.get('.b')).toBe(2);
      expect(() => fields.changes()).toThrow(/'a'/);
    });

    it('still delete what was set before it and deleted while it was under way', () => {
      const fields = open();
      fields.set('.a', 1);
      const saved = fields.changes();
      fields.delete('.a');
      fields.rebase(applyChanges(new Map(), saved), saved);
      expect(fields.has('.a')).toBe(false);
      expect(shown(fields.changes())).toEqual({ '.a': undefined });
    });

    it('hold the very object that was set, so that what is done to it later counts', () => {
      const fields = open();
      const cart = { list: [1] };
      fields.set('.cart', cart);
      const saved = fields.changes();
      fields.rebase(applyChanges(new Map(), saved), saved);
      cart.list.push(2);
      expect(shown(fields.changes())).toEqual({ '.cart': { list: [1, 2] } });
    });
  });
});

describe('Merging', () => {
  const change = fc.tuple(keys, fc.option(fc.nat(9))).map(([key, value]) => [key, value === null ? undefined : bytesOf(value)] as const);
  const request = fc.array(change, { maxLength: 4 }).map((changes) => new Map(changes));

  it('of any number of requests, in whatever order they save, ends as the changes key by key in that order', () => {
    const requests = fc.array(request, { maxLength: 6 }).chain((all) => fc.shuffledSubarray(all, { minLength: all.length }));
    fc.assert(
      fc.property(stores, requests, (initial, inOrder) => {
        const merged = inOrder.reduce(applyChanges, initial);
        for (const key of ['.a', '.b', '.__proto__', '.constructor']) {
          const last = inOrder.findLast((changes) => changes.has(key));
          const expected = last === undefined ? initial.get(key) : last.get(key);
          expect([merged.has(key), merged.get(key)]).toEqual([expected !== undefined, expected]);
        }
      }),
      { numRuns: FUZZ_RUNS },
    );
  });

  it('of requests that change different keys loses nothing, whatever the order', () => {
    const disjoint = fc
      .array(fc.nat(9), { minLength: 1, maxLength: 10 })
      .map((items) => items.map((value, index) => new Map([[`.${index}`, bytesOf(value)]])));
    fc.assert(
      fc.property(disjoint, (requests) => {
        const forth = requests.reduce<SerializedFields>(applyChanges, new Map());
        const back = requests.reduceRight<SerializedFields>(applyChanges, new Map());
        expect(new Map([...back].sort())).toEqual(new Map([...forth].sort()));
        expect(forth.size).toBe(requests.length);
      }),
      { numRuns: FUZZ_RUNS },
    );
  });

  it('alters neither what is stored nor the changes', () => {
    const fields = stored({ '.a': 1 });
    const changes = new Map([
      ['.a', undefined],
      ['.b', bytesOf(2)],
    ]);
    applyChanges(fields, changes);
    expect([fields, changes]).toEqual([
      stored({ '.a': 1 }),
      new Map([
        ['.a', undefined],
        ['.b', bytesOf(2)],
      ]),
    ]);
  });
});
