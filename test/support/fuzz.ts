/** How many cases a property is tried with: a few hundred in `npm test`, many more where `FUZZ_RUNS` asks for them. */
export const FUZZ_RUNS = Number(process.env['FUZZ_RUNS'] ?? 300);

/**
 * How many times longer `work` takes for the large input than for the small one, by the fastest of several tries each.
 * Compare it with the ratio of the sizes, and loosely.
 */
export function growth(work: (size: number) => void, small: number, large: number): number {
  return (
    fastest(() => work(large)) /
    Math.max(
      fastest(() => work(small)),
      0.01,
    )
  );
}

function fastest(work: () => void): number {
  let best = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < 5; attempt++) {
    const start = performance.now();
    work();
    best = Math.min(best, performance.now() - start);
  }
  return best;
}
