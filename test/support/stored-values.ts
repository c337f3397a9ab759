import fc from 'fast-check';

const keys = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 8 }),
  fc.constantFrom('__proto__', 'constructor', 'hasOwnProperty', 'toString', 'then', 'toJSON', '$type', 'value', '\ud800', '0'),
);

const bytes = fc.uint8Array({ maxLength: 24 });

const leaves = fc.oneof(
  fc.boolean(),
  fc.constant(null),
  fc.integer(),
  fc.double(),
  fc.constantFrom(-0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 2 ** 31, 2 ** 32, 2 ** 53, -(2 ** 63)),
  fc.bigInt(),
  fc.bigInt({ min: -(2n ** 200n), max: 2n ** 200n }),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ unit: fc.constantFrom('a', 'é', '😀', '\ud800', '\udfff', '"', '\\', '\0'), maxLength: 40 }),
  fc.constantFrom('Date', 'Map', '$type'),
  fc.date({ noInvalidDate: true }),
  bytes,
  bytes.map((view) => Buffer.from(view)),
  bytes.map((view) => view.slice().buffer),
  fc.float32Array({ maxLength: 4 }),
  fc.float64Array({ maxLength: 4 }),
  fc.int16Array({ maxLength: 4 }),
  fc.uint8ClampedArray({ maxLength: 4 }),
  fc.bigInt64Array({ maxLength: 4 }),
);

/** Object literals with the keys as own data, whatever their name. */
function object(values: fc.Arbitrary<unknown>): fc.Arbitrary<object> {
  return fc
    .array(fc.tuple(keys, values), { maxLength: 4 })
    .map((entries) => Object.fromEntries(entries.map(([key, value]) => [key, value ?? null])));
}

/** What the serializers bring back, nested in one another; without invalid dates, which equal nothing. */
export const storedValues: fc.Arbitrary<unknown> = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    leaves,
    fc.array(fc.oneof(tie('value'), fc.constant(undefined)), { maxLength: 4 }),
    object(tie('value')),
    fc.array(fc.tuple(fc.oneof(tie('value'), fc.constant(undefined)), tie('value')), { maxLength: 3 }).map((entries) => new Map(entries)),
    fc.array(tie('value'), { maxLength: 3 }).map((items) => new Set(items)),
  ),
})).value;
