/** The functions of a test runner that the suite uses; jest, vitest (with `globals: true`) and mocha have them. */
export interface TestRunner {
  describe(title: string, body: () => void): void;
  it(title: string, body: () => Promise<void>): void;
  beforeAll(body: () => Promise<void>): void;
  afterAll(body: () => Promise<void>): void;
}

/** Milliseconds for one case: slow machines and real servers included. */
const TIMEOUT = 60_000;

type Register = (...args: unknown[]) => unknown;

/**
 * The runner that is at work, found among the global functions, so that the suite depends on none.
 *
 * @throws Error where there is none.
 */
export function globalTestRunner(): TestRunner {
  const describe = globalFunction('describe');
  const it = globalFunction('it');
  const beforeAll = globalFunction('beforeAll', 'before');
  const afterAll = globalFunction('afterAll', 'after');
  return {
    describe: (title, body) => void describe(title, body),
    it: (title, body) => void it(title, patient(body), TIMEOUT),
    beforeAll: (body) => void beforeAll(patient(body), TIMEOUT),
    afterAll: (body) => void afterAll(patient(body), TIMEOUT),
  };
}

function globalFunction(...names: string[]): Register {
  for (const name of names) {
    const found: unknown = Reflect.get(globalThis, name);
    if (typeof found === 'function') return (...args) => Reflect.apply(found, undefined, args) as unknown;
  }
  throw new Error(
    `[ServerSession] the conformance suite found no global function '${names[0]}': run it with jest, mocha, or vitest with 'globals: true'`,
  );
}

/** Jest and vitest take the time limit as an argument, mocha from the context of the function. */
function patient(body: () => Promise<void>): () => Promise<void> {
  return function (this: unknown) {
    if (hasTimeout(this)) this.timeout(TIMEOUT);
    return body();
  };
}

function hasTimeout(context: unknown): context is { timeout(milliseconds: number): void } {
  return typeof context === 'object' && context !== null && 'timeout' in context && typeof context.timeout === 'function';
}
