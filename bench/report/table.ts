/** A table in Markdown that is also legible as text. Columns of numbers stand on the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[], numbersFrom = 1): string {
  const widths = head.map((title, column) => Math.max(3, title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    `| ${widths.map((width, column) => pad(cells[column] ?? '', width, column >= numbersFrom)).join(' | ')} |`;
  const rule = `| ${widths.map((width, column) => (column >= numbersFrom ? `${'-'.repeat(width - 1)}:` : '-'.repeat(width))).join(' | ')} |`;
  return [line(head), rule, ...rows.map(line)].join('\n');
}

function pad(cell: string, width: number, toTheRight: boolean): string {
  return toTheRight ? cell.padStart(width) : cell.padEnd(width);
}
