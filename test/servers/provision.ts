import { catalogue } from './catalogue.js';
import { locate } from './locate.js';
import type { ServerKind } from './test-server.js';

/**
 * Makes sure, once per run and before any worker starts, that every server can be started.
 * Resolves to the reasons for those that cannot. That is no error yet: the run may not need them,
 * and a test that does need one fails with the same reason.
 */
export async function provisionServers(): Promise<string[]> {
  const problems: string[] = [];
  // A cluster is made of the same program as a single Redis.
  const kinds = (Object.keys(catalogue) as ServerKind[]).filter((kind) => kind !== 'redis-cluster');
  // One after the other: apt works on one package at a time anyway.
  for (const kind of kinds) {
    if (isSet(process.env[catalogue[kind].variable])) continue;
    try {
      await locate(kind);
    } catch (error) {
      problems.push(error instanceof Error ? error.message : String(error));
    }
  }
  return problems;
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== '';
}
