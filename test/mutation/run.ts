// npm run test:mutation [-- session http]: makes small changes to lib/, one at a time in a copy of the project, and runs the tests that should notice. Folders
// (or `core`, `back-ends`) are given by name; `core` without one. MUTANTS=50 is how many, spread evenly over the folders, SEED=1 which ones.
// The changes are not type-checked, so some that a compiler would refuse count as well.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Area, AREAS } from './areas.js';
import { type Mutant, mutantsOf } from './mutants.js';

const COUNT = Number(process.env['MUTANTS'] ?? 50);
const SEED = Number(process.env['SEED'] ?? 1);
const LEAST_TIMEOUT = 120_000;
const LONGEST = 900_000;

const print = (line: string): void => void process.stdout.write(`${line}\n`);

/** The same numbers below 1 for the same seed (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function areasOf(names: readonly string[]): Area[] {
  const all = Object.values(AREAS).flat();
  return names.flatMap((name) => {
    const chosen = AREAS[name] ?? all.filter(({ folder }) => folder === name);
    if (chosen.length === 0)
      throw new Error(`'${name}' is none of ${[...Object.keys(AREAS), ...all.map(({ folder }) => folder)].join(', ')}`);
    return chosen;
  });
}

function picked(folder: string, count: number): Mutant[] {
  const random = randomOf(SEED);
  const files = readdirSync(join('lib', folder), { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  const all = files.sort().flatMap((file) => mutantsOf(join('lib', folder, file)));
  const chosen: Mutant[] = [];
  while (chosen.length < count && all.length > 0) chosen.push(...all.splice(Math.floor(random() * all.length), 1));
  return chosen;
}

/** A copy that can be changed: sources and tests, and the packages by a link. */
function copyOfProject(): string {
  const copy = mkdtempSync(join(tmpdir(), 'mutants-'));
  for (const name of ['lib', 'test', 'docs', 'sample', 'README.md', 'package.json', 'tsconfig.json', 'jest.config.js']) {
    cpSync(name, join(copy, name), { recursive: true });
  }
  symlinkSync(join(process.cwd(), 'node_modules'), join(copy, 'node_modules'));
  const config = `import config from './jest.config.js';
const { globalSetup, globalTeardown, ...rest } = config;
export default { ...rest, reporters: ['default'] };
`;
  writeFileSync(join(copy, 'jest.mutants.js'), config);
  return copy;
}

type Outcome = 'passed' | 'failed' | 'timed out';

/** The tests of one step, in a group of processes that ends as a whole. */
async function runTests(copy: string, tests: readonly string[], timeout: number): Promise<Outcome> {
  const jest = ['--experimental-vm-modules', '--no-warnings', 'node_modules/jest/bin/jest.js', '--config', 'jest.mutants.js'];
  const child = spawn(process.execPath, [...jest, '--runInBand', '--bail', '--silent', '--forceExit', ...tests], {
    cwd: copy,
    detached: true,
    stdio: 'ignore',
  });
  const exited = once(child, 'exit');
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    process.kill(-child.pid!, 'SIGKILL');
  }, timeout);
  const [exitCode] = await exited;
  clearTimeout(timer);
  if (isLate) return 'timed out';
  return exitCode === 0 ? 'passed' : 'failed';
}

/** The milliseconds that these tests take when nothing is changed. @throws when they fail even then. */
async function timeOf(copy: string, tests: readonly string[]): Promise<number> {
  const start = performance.now();
  const outcome = await runTests(copy, tests, LONGEST);
  if (outcome !== 'passed') throw new Error(`without any change: ${tests.join(' ')} ${outcome}`);
  return performance.now() - start;
}

/** @param times of the steps that have run before: each is tried without any change when it is first needed. */
async function isNoticed(copy: string, { file, start, end, replacement }: Mutant, { tests }: Area, times: number[]): Promise<boolean> {
  const original = readFileSync(join(copy, file), 'utf8');
  for (const [index, step] of tests.entries()) {
    const time = (times[index] ??= await timeOf(copy, step));
    writeFileSync(join(copy, file), original.slice(0, start) + replacement + original.slice(end));
    try {
      if ((await runTests(copy, step, Math.max(LEAST_TIMEOUT, 3 * time))) !== 'passed') return true;
    } finally {
      writeFileSync(join(copy, file), original);
    }
  }
  return false;
}

const names = process.argv.slice(2);
const areas = areasOf(names.length > 0 ? names : ['core']);
const copy = copyOfProject();
const scores: string[] = [];
try {
  for (const [index, area] of areas.entries()) {
    // What does not divide evenly goes to the first folders.
    const mutants = picked(area.folder, Math.floor(COUNT / areas.length) + (index < COUNT % areas.length ? 1 : 0));
    const times: number[] = [];
    print(`${area.folder}: ${mutants.length} mutants`);
    let noticed = 0;
    for (const mutant of mutants) {
      const isSeen = await isNoticed(copy, mutant, area, times);
      if (isSeen) noticed++;
      print(`  ${isSeen ? 'noticed ' : 'SURVIVED'} ${mutant.file}:${mutant.line} ${mutant.what}`);
    }
    scores.push(`${area.folder.padEnd(24)} ${noticed} of ${mutants.length} noticed`);
  }
} finally {
  rmSync(copy, { recursive: true, force: true });
  print(`\n${scores.join('\n')}`);
}
