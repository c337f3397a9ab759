// npm run test:scale [-- redis sql]: the other scripts of this folder, one after the other, each in a process of its own. Each measures what one part
// costs as the number of sessions grows, and fails when a count is not what it must be. The sizes are chosen for about a minute each;
// SCALE_SESSIONS and SCALE_ROWS make them larger.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TYPESCRIPT_ARGS } from '../support/typescript-child.js';

const chosen = process.argv.slice(2);
const all = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.ts') && file !== basename(fileURLToPath(import.meta.url)))
  .map((file) => basename(file, '.ts'));
const unknown = chosen.filter((name) => !all.includes(name));
if (unknown.length > 0) throw new Error(`there is no '${unknown.join("', '")}': choose among ${all.join(', ')}`);

const failed: string[] = [];
for (const name of chosen.length > 0 ? chosen : all) {
  process.stdout.write(`\n=== ${name}\n`);
  const start = performance.now();
  const script = fileURLToPath(new URL(`./${name}.ts`, import.meta.url));
  const [exitCode, signal] = await once(spawn(process.execPath, [...TYPESCRIPT_ARGS, script], { stdio: 'inherit' }), 'exit');
  const how = exitCode === 0 ? 'done' : `failed (${signal ?? `exit code ${exitCode}`})`;
  if (exitCode !== 0) failed.push(name);
  process.stdout.write(`=== ${name}: ${how} after ${Math.round((performance.now() - start) / 1_000)} s\n`);
}
if (failed.length > 0) {
  process.stderr.write(`\nfailed: ${failed.join(', ')}\n`);
  process.exitCode = 1;
}
