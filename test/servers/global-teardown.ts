import { readFile, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

interface RunRecord {
  readonly kind: string;
  readonly version: string;
  readonly source: string;
  readonly target: string;
}

/** Jest's globalTeardown: says what the tests ran on. Without imports of ours, see global-setup.ts. */
export default async function globalTeardown(): Promise<void> {
  const file = process.env['SERVER_SESSION_RUN_FILE'];
  if (file === undefined || file === '') return;
  const text = await readFile(file, 'utf8').catch(() => '');
  await rm(dirname(file), { recursive: true, force: true });
  const lines = [...new Set(text.split('\n').filter((line) => line !== ''))].sort();
  if (lines.length > 0) process.stdout.write(table(lines.map((line) => JSON.parse(line) as RunRecord)));
}

function table(records: readonly RunRecord[]): string {
  const rows = [
    ['back end', 'server version', 'where it came from'],
    ...records.map(({ kind, version, source, target }) => [kind, version, `${source} (${shortened(target)})`]),
  ];
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const printed = rows.map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')}`.trimEnd());
  return `\ntested on:\n${printed.join('\n')}\n`;
}

/** The path of a program that npm has installed says enough from the package on. */
function shortened(target: string): string {
  return target.replace(/^.*\/node_modules\//, '');
}
