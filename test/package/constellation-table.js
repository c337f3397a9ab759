/** Prints what was tried in which constellation, after a run of constellations.spec.ts. */
export default class ConstellationTable {
  onRunComplete(_contexts, { testResults }) {
    const results = testResults.find(({ testFilePath }) => testFilePath.endsWith('constellations.spec.ts'))?.testResults ?? [];
    const titles = [...new Set(results.map(({ ancestorTitles: [name] }) => name))];
    const checks = [...new Set(results.map(({ title }) => title))];
    if (results.length === 0) return;
    const cell = (name, check) => {
      const result = results.find(({ ancestorTitles, title }) => ancestorTitles[0] === name && title === check);
      return result === undefined || result.status === 'pending' ? '–' : result.status === 'passed' ? '✓' : '✗';
    };
    const lines = checks.map((check) => `| ${check.padEnd(62)} | ${titles.map((name) => cell(name, check)).join(' | ')} |`);
    const legend = titles.map((name, index) => `${index + 1}: ${name}`).join('\n');
    const head = `| ${`Node ${process.versions.node}`.padEnd(62)} | ${titles.map((_name, index) => index + 1).join(' | ')} |`;
    const rule = `| ${'-'.repeat(62)} | ${titles.map(() => '-').join(' | ')} |`;
    process.stdout.write(`\nConstellations\n${legend}\n${[head, rule, ...lines].join('\n')}\n`);
  }
}
