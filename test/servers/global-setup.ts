import { existsSync } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import Module from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

type ResolveFilename = (request: string, parent?: { readonly filename?: string | null }, ...rest: unknown[]) => string;

/** Jest's globalSetup: fetches the servers that are missing and opens the run file. */
export default async function globalSetup(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'server-session-run-'));
  const file = join(folder, 'servers.jsonl');
  await writeFile(file, '');
  process.env['SERVER_SESSION_RUN_FILE'] = file;

  const problems = await withTypeScriptImports(async () => {
    const { provisionServers } = await import('./provision.js');
    return provisionServers();
  });
  for (const problem of problems) console.warn(problem);
}

/**
 * Jest compiles this file, and what it imports, to CommonJS for Node's own loader, which knows
 * nothing of `moduleNameMapper`: "./provision.js" has to be led to provision.ts by hand.
 */
async function withTypeScriptImports<T>(work: () => Promise<T>): Promise<T> {
  const loader = Module as unknown as { _resolveFilename: ResolveFilename };
  const original = loader._resolveFilename;
  loader._resolveFilename = (request, parent, ...rest) => {
    if (/^\.{1,2}\/.*\.js$/.test(request) && parent?.filename != null) {
      const source = resolve(dirname(parent.filename), request.replace(/\.js$/, '.ts'));
      if (existsSync(source)) return source;
    }
    return original.call(loader, request, parent, ...rest);
  };
  try {
    return await work();
  } finally {
    loader._resolveFilename = original;
  }
}
