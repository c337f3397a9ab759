import type { OutageResult } from './outage.js';

const HEAD = ['back end', 'fault', 'acknowledged', 'failed', 'keys found', 'lost', 'longest request', 'recovered after'];

/** The results as a Markdown table. */
export function outageTable(results: readonly OutageResult[]): string {
  const rows = results.map((result) => [
    result.durable ? result.store : `${result.store} ¹`,
    result.fault,
    String(result.acknowledged),
    String(result.failed),
    String(result.found),
    String(result.lost),
    `${Math.round(result.longest)} ms`,
    `${Math.round(result.recovery)} ms`,
  ]);
  const widths = HEAD.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string => `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  return [line(HEAD), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...rows.map(line), ''].join('\n');
}
