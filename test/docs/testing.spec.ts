import { describe } from '@jest/globals';
import { BlockCompiler, codeBlocks, importsOf, transpile } from './code-blocks.js';

/** The tests that docs/testing.md shows, run as they stand there. */
const compiler = new BlockCompiler();
const blocks = (await codeBlocks()).filter(({ place }) => place.startsWith('docs/testing.md')).map((block) => compiler.complete(block));
const packages = new Map<string, unknown>();
for (const { source } of blocks) for (const [name, loaded] of await importsOf(source)) packages.set(name, loaded);

describe.each(blocks.filter(({ name, source }) => name?.endsWith('spec.ts') && !source.includes('new MyRepository')))(
  'docs/testing.md: $name',
  ({ source }) => {
    evaluate(source);
  },
);

function evaluate(source: string): unknown {
  const exports = {};
  new Function('exports', 'require', transpile(source))(exports, (name: string) => packages.get(name) ?? evaluate(fileOf(name)));
  return exports;
}

function fileOf(specifier: string): string {
  const file = blocks.find(({ name }) => `./${name}` === specifier.replace(/\.js$/, '.ts'));
  if (file === undefined) throw new Error(`no block of the page is called ${specifier}`);
  return file.source;
}
