import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { SessionOptionsError } from 'nestjs-server-session';
import * as publicApi from 'nestjs-server-session';
import { VARIABLES } from '../../lib/options/options-from-env.js';
import { resolveOptions } from '../../lib/options/resolve-options.js';

const page = (name: string): string => readFileSync(new URL(`../../docs/${name}.md`, import.meta.url), 'utf8');
/** What stands in backquotes in the first cell of each row of the tables of a page. */
const firstCells = (text: string): string[] => Array.from(text.matchAll(/^\| (`.*?) +\|/gm), ([, cell = '']) => cell);

/** The names that the reader of options knows, as it says itself when it is given another one. */
function knownOptions(given: object): string[] {
  try {
    resolveOptions(given);
  } catch (error) {
    const allowed = error instanceof SessionOptionsError ? /is not an option; allowed: (.*)$/.exec(error.faults.join()) : null;
    return allowed?.[1]?.split(', ') ?? [];
  }
  return [];
}

describe('docs/options.md', () => {
  it('has a heading for each option that there is, and no other', () => {
    const headings = Array.from(page('options').matchAll(/^### `(.+)`$/gm), ([, name]) => name);
    const cookie = knownOptions({ cookie: { unknown: 1 } }).map((name) => `cookie.${name}`);
    const options = knownOptions({ unknown: 1 }).filter((name) => name !== 'cookie');
    expect(cookie.length).toBeGreaterThan(5);
    expect(headings.sort()).toEqual([...options, ...cookie].sort());
  });

  it('says the type and the default of each', () => {
    for (const section of page('options').split(/^### /m).slice(1)) expect(section).toMatch(/\n[^\n]+; default[ \n]/);
  });

  it('has a row for each environment variable, with its option', () => {
    const rows = Array.from(page('options').matchAll(/^\| (`[A-Z].*?) +\| `(.*?)` +\|/gm), ([, variables, option]) => [option, variables]);
    expect(rows.sort()).toEqual(VARIABLES.map(([option, names]) => [option, names.map((name) => `\`${name}\``).join(' or ')]).sort());
  });
});

describe('docs/errors.md', () => {
  it('has a row for each error that is exported, and no other', () => {
    const exported = Object.keys(publicApi).filter((name) => name.endsWith('Error'));
    const rows = firstCells(page('errors')).map((cell) => cell.replaceAll('`', ''));
    expect(rows.filter((name) => name !== 'TypeError').sort()).toEqual(exported.sort());
  });

  it('says the status of each', () => {
    const text = page('errors');
    for (const [, name, status] of text.matchAll(/^\| `(\w+Error)` +\| (\d{3}|) *\|/gm)) {
      const error: unknown = Reflect.get(publicApi, name!);
      if (typeof error !== 'function') continue;
      const instance: unknown = Reflect.construct(error, ['x', 1, []]);
      const actual =
        typeof instance === 'object' && instance !== null && 'getStatus' in instance ? (instance.getStatus as () => number)() : undefined;
      expect([name, status === '' ? undefined : Number(status)]).toEqual([name, actual]);
    }
  });
});
