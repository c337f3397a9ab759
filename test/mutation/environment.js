import { appendFileSync } from 'node:fs';
import { TestEnvironment } from 'jest-environment-node';

/** Writes down of each test file what ran and what failed first. After a failure the file's other tests are left out, its clean-up is not. */
export default class MutationEnvironment extends TestEnvironment {
  #started = performance.now();
  #usage = process.cpuUsage();
  #spec;
  #failure;

  constructor(config, context) {
    super(config, context);
    this.#spec = context.testPath;
    this.global.__placesThatRan = new Set();
  }

  handleTestEvent(event) {
    if (event.name === 'test_start' && this.#failure !== undefined) event.test.mode = 'skip';
    if (event.name === 'test_fn_failure' || event.name === 'hook_failure') this.#failure ??= describe(event);
  }

  async teardown() {
    const { user, system } = process.cpuUsage(this.#usage);
    const result = {
      spec: this.#spec,
      milliseconds: performance.now() - this.#started,
      processorTime: (user + system) / 1000,
      places: [...this.global.__placesThatRan],
      failure: this.#failure,
    };
    appendFileSync(process.env.MUTATION_RESULTS, `${JSON.stringify(result)}\n`);
    await super.teardown();
  }
}

function describe({ test, hook, error }) {
  const message = String(Array.isArray(error) ? (error[0]?.message ?? error[0]) : (error?.message ?? error));
  return { test: test?.name ?? hook?.type, isTimeout: message.includes('Exceeded timeout') };
}
