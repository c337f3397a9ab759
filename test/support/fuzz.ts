/** How many cases a property is tried with: a few hundred in `npm test`, many more where `FUZZ_RUNS` asks for them. */
export const FUZZ_RUNS = Number(process.env['FUZZ_RUNS'] ?? 300);

/** The two sizes of an input that are compared; what is quadratic shows as a factor of 64. */
export const SIZES: readonly [number, number] = [16_384, 1_048_576];

/**
 * How much longer `work` takes for one large input than for as much in small ones: about 1 where time is in proportion to
 * size. Compare it loosely.
 */
export function growth(work: (size: number) => void): number {
  const [small, large] = SIZES;
  const inSmallOnes = fastest(() => {
    for (let done = 0; done < large; done += small) work(small);
  });
  return fastest(() => work(large)) / inSmallOnes;
}

/** Far from both 1 and 64, whatever else the machine does. */
export const LINEAR = 12;

function fastest(work: () => void): number {
  let best = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < 5; attempt++) {
    const start = performance.now();
    work();
    best = Math.min(best, performance.now() - start);
  }
  return best;
}
