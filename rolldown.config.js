import { readdirSync, readFileSync } from 'node:fs';
import { defineConfig } from 'rolldown';

const LIBRARY = {
  index: 'lib/index.ts',
  'testing/index': 'lib/testing/index.ts',
  'health/index': 'lib/health/index.ts',
  'interop/index': 'lib/interop/index.ts',
};

const SHARED = {
  platform: 'node',
  tsconfig: 'tsconfig.build.json',
  // No package becomes part of a bundle, except the helpers for decorators.
  external: /^(?!@oxc-project\/runtime)[@\w]/,
};

/** Few files load faster than many: one for each entry, one for all that every application needs, and one for each back end. */
const CHUNKS = {
  chunkFileNames: 'chunks/[name].js',
  // With all that it imports.
  codeSplitting: { groups: [{ name: 'core', test: /\/lib\/index\.ts$/ }] },
};

export default defineConfig([
  {
    ...SHARED,
    // The command line is built together with the library: both use the same classes, and so does an application that it loads.
    input: { ...LIBRARY, 'cli/main': 'lib/cli/main.ts' },
    output: { ...CHUNKS, dir: 'dist', format: 'esm' },
  },
  {
    ...SHARED,
    input: LIBRARY,
    // Jest cannot run import() in CommonJS: there it becomes a call of require(), which is as lazy.
    output: { ...CHUNKS, dir: 'dist/cjs', format: 'cjs', dynamicImportInCjs: false },
    plugins: [commonjsScope()],
  },
]);

/** Makes `dist/cjs` a folder of CommonJS files, with the declarations that tsc has written to `dist`. */
function commonjsScope() {
  return {
    name: 'commonjs-scope',
    generateBundle() {
      this.emitFile({ type: 'asset', fileName: 'package.json', source: '{ "type": "commonjs" }\n' });
      for (const fileName of readdirSync('dist', { recursive: true })) {
        if (!fileName.endsWith('.d.ts') || fileName.startsWith('cjs')) continue;
        this.emitFile({ type: 'asset', fileName, source: readFileSync(`dist/${fileName}`) });
      }
    },
  };
}
