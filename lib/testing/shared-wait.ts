import { type TestRunner } from './test-runner.js';
import { pause, type Fixture } from './fixture.js';

type Check = () => Promise<void>;

/** A lifetime that ends during the wait, in milliseconds; long enough for what a slow machine does before. */
const SHORT = 1_000;
/** Clocks of store and tests are not the same, and timers are late. */
const MARGIN = 300;

/** Cases about the end of a lifetime: all are prepared at once and wait together, so that a suite waits once. */
export class SharedWait {
  private readonly cases: { title: string; prepare: () => Promise<Check> }[] = [];
  /** A lifetime that is over after the wait. */
  readonly short: number;

  constructor(private readonly bench: Fixture) {
    this.short = Math.max(SHORT, bench.traits.minimumLifetime);
  }

  /** @param prepare what happens before the wait; what it returns happens after. */
  it(title: string, prepare: () => Promise<Check>): void {
    this.cases.push({ title, prepare });
  }

  /** Hands the cases to the runner. */
  register(runner: TestRunner): void {
    let prepared: PromiseSettledResult<Check>[] = [];
    runner.beforeAll(async () => {
      prepared = await Promise.allSettled(this.cases.map(({ prepare }) => prepare()));
      await pause(this.short + this.bench.traits.minimumLifetime + MARGIN);
    });
    for (const [index, { title }] of this.cases.entries())
      runner.it(title, async () => {
        const result = prepared[index];
        if (result?.status !== 'fulfilled') throw result?.reason;
        await result.value();
      });
  }
}
