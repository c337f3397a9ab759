import * as nodeTest from 'node:test';

/** The functions of a test runner that the suite uses. */
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
 * The runner that is at work: jest, vitest or mocha by their global functions, else `node:test`.
 *
 * @throws Error where jest or vitest is at work without its global functions.
 */
export function findTestRunner(): TestRunner {
  const describe = globalFunction('describe');
  const it = globalFunction('it');
  const beforeAll = globalFunction('beforeAll', 'before');
  const afterAll = globalFunction('afterAll', 'after');
  if (!describe || !it || !beforeAll || !afterAll) return nodeTestRunner();
  return {
    describe: (title, body) => void describe(title, body),
    it: (title, body) => void it(title, patient(body), TIMEOUT),
    beforeAll: (body) => void beforeAll(patient(body), TIMEOUT),
    afterAll: (body) => void afterAll(patient(body), TIMEOUT),
  };
}

function nodeTestRunner(): TestRunner {
  const { VITEST, JEST_WORKER_ID } = process.env;
  if (VITEST !== undefined) throw new Error(hidden('vitest', 'globals: true'));
  if (JEST_WORKER_ID !== undefined) throw new Error(hidden('jest', 'injectGlobals: true'));
  return {
    describe: (title, body) => void nodeTest.describe(title, body),
    it: (title, body) => void nodeTest.it(title, body),
    beforeAll: (body) => nodeTest.before(body),
    afterAll: (body) => nodeTest.after(body),
  };
}

function hidden(runner: string, option: string): string {
  return `[ServerSession] the conformance suite found no global functions 'describe' and 'it': set '${option}' in the configuration of ${runner}`;
}

function globalFunction(...names: string[]): Register | undefined {
  for (const name of names) {
    const found: unknown = Reflect.get(globalThis, name);
    if (typeof found === 'function') return (...args) => Reflect.apply(found, undefined, args) as unknown;
  }
  return undefined;
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
