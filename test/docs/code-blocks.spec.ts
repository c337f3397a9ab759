import { beforeAll, describe, expect, it } from '@jest/globals';
import type { INestApplication } from '@nestjs/common';
import { BlockCompiler, type BlockModule, codeBlocks, importsOf, transpile } from './code-blocks.js';

/**
 * Every `ts` block of README and docs is a module of its own. What it does not import it takes from `prelude/packages.ts`, and what
 * stands elsewhere in the application from `prelude/application.ts`. A block may also be the members of a class, or the options of
 * `forRoot` with or without their braces; `{ … }` stands for a body that is left out. One that others of its page import
 * begins with its name, as in `// cart.controller.ts`.
 */
const blocks = await codeBlocks();
let modules: BlockModule[];
let complaints: Map<string, string[]>;

beforeAll(() => {
  const compiler = new BlockCompiler();
  modules = blocks.map((block) => compiler.complete(block));
  complaints = compiler.check(modules);
}, 180_000);

describe('A code block of the docs', () => {
  it.each(blocks.map(({ place }) => place))('compiles: %s', (place) => {
    expect(complaints.get(place)).toEqual([]);
  });

  it('runs, where it needs nothing else of an application', async () => {
    const runnable = modules.filter(({ runs }) => runs);
    expect(runnable.length).toBeGreaterThan(10);
    for (const { place, source } of runnable) {
      await run(source).catch((error: unknown) => {
        throw new Error(`${place} fails when it is run`, { cause: error });
      });
    }
  }, 180_000);
});

/** Runs a block; an application that it starts listens on a free port, answers, and is closed. */
async function run(source: string): Promise<void> {
  const packages = await importsOf(source);
  const exports: { app?: INestApplication } = {};
  const body = `${transpile(source).replace(/\.listen\(\d+/, '.listen(0')}\nif (typeof app === 'object') exports.app = app;`;
  const AsyncFunction = Object.getPrototypeOf(run).constructor as new (...code: string[]) => (...args: unknown[]) => Promise<void>;
  await new AsyncFunction('exports', 'require', body)(exports, (name: string) => packages.get(name));
  await exports.app?.close();
}
