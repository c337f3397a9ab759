import { appendFileSync } from 'node:fs';
import type { ServerKind, TestServer } from './test-server.js';

/** Environment variable with the path of the file that collects what the tests ran on. */
export const RUN_FILE = 'SERVER_SESSION_RUN_FILE';

/** Writes down what was started, for the table at the end of the run. */
export function recordStart(server: TestServer, kind: ServerKind = server.kind): void {
  const file = process.env[RUN_FILE];
  if (file === undefined || file === '') return;
  const { version, source, target } = server;
  // One short append: lines of several workers do not mix.
  appendFileSync(file, `${JSON.stringify({ kind, version, source, target })}\n`);
}
