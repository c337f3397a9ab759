import type { OutageResult } from './outage.js';

const HEAD = [
  'back end',
  'client',
  'fault',
  'acknowledged',
  'failed',
  'keys found',
  'lost',
  'logged out',
  'revived',
  'longest request',
  'recovered after',
  'memory',
  'stored afterwards',
];

/** The results as a Markdown table. */
export function outageTable(results: readonly OutageResult[]): string {
  const rows = results.map(cellsOf);
  const widths = HEAD.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string => `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  return [line(HEAD), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...rows.map(line), ''].join('\n');
}

/** One result, in a line that can be read as it comes. */
export function outageRow(result: OutageResult): string {
  const cells = HEAD.map((title, column) => `${title}: ${cellsOf(result)[column]}`);
  return [...cells, `the machine was late by ${Math.round(result.lateness)} ms`].join(', ');
}

function cellsOf(result: OutageResult): string[] {
  return [
    result.durable ? result.store : `${result.store} ¹`,
    result.client === 'application' ? "application's" : (result.client ?? ''),
    result.fault,
    String(result.acknowledged),
    String(result.failed),
    String(result.found),
    String(result.lost),
    result.endedMeanwhile > 0 ? `${result.ended} (${result.endedMeanwhile})` : String(result.ended),
    String(result.revived),
    `${Math.round(result.longest)} ms`,
    `${Math.round(result.recovery)} ms`,
    result.newcomers === undefined ? '' : `${Math.round(result.newcomers.memory / 1024 / 1024)} MB`,
    result.newcomers === undefined ? '' : `${result.newcomers.storedAfterwards} of ${result.newcomers.refused}`,
  ];
}
