// npm run test:mutation [-- session http]: makes small changes to lib/, one at a time in a copy of the project, and runs the tests that should notice. Folders
// (or `core`, `back-ends`) are given by name; `core` without one. MUTANTS=100 is how many, in proportion to the code of each folder, SEED=1 which ones, JOBS=2 how
// many are tried at a time. What the compiler refuses is noticed without any test. A first run with probes tells which test files run the changed function: those
// are tried, quick ones first, as long as all of them together take no more than BUDGET=60 seconds of the processor without a change. So a change that only a
// later one would notice counts as unnoticed.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Area, areasOf } from './areas.js';
import { Compiler } from './compiler.js';
import { type Mutant, mutantsOf, rankOf } from './mutants.js';
import { ProjectCopy, removeCopiesAtExit } from './project-copy.js';
import { record, type SpecRecord, specsOf } from './recording.js';

const COUNT = Number(process.env['MUTANTS'] ?? 100);
const SEED = Number(process.env['SEED'] ?? 1);
const JOBS = Number(process.env['JOBS'] ?? 2);
const BUDGET = Number(process.env['BUDGET'] ?? 60) * 1000;
/** Only mutants whose file and line contain one of these, as in `ONLY=adapters.ts:12,near-cache`. */
const ONLY = (process.env['ONLY'] ?? '').split(',');
const LEAST_TIMEOUT = 60_000;

type Fate = 'noticed' | 'refused' | 'SURVIVED' | 'unclear';
interface Verdict {
  readonly fate: Fate;
  readonly by: string;
}

const print = (line: string): void => void process.stdout.write(`${line}\n`);

function allOf({ folder }: Area): Mutant[] {
  const files = readdirSync(join('lib', folder), { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  const ranked = files.flatMap((file) => mutantsOf(join('lib', folder, file))).map((mutant) => ({ mutant, rank: rankOf(SEED, mutant) }));
  return ranked.sort((one, other) => one.rank - other.rank).map(({ mutant }) => mutant);
}

/** Test files that run the mutant's function: first those that have noticed something in its file, then quick ones. */
function specsFor(mutant: Mutant, records: readonly SpecRecord[], notices: ReadonlyMap<string, number>): SpecRecord[] {
  const [, folder] = mutant.file.split('/');
  const worth = ({ spec, processorTime }: SpecRecord): number =>
    processorTime / ((spec.startsWith(`test/unit/${folder}/`) ? 4 : 1) + 4 * (notices.get(`${mutant.file} ${spec}`) ?? 0));
  const sorted = records.filter(({ places }) => places.has(mutant.place)).sort((one, other) => worth(one) - worth(other));
  let spent = 0;
  return sorted.filter(({ processorTime }, index) => (spent += processorTime) <= BUDGET || index === 0);
}

async function tryOut(
  compiler: Compiler,
  copy: ProjectCopy,
  mutant: Mutant,
  records: readonly SpecRecord[],
  notices: Map<string, number>,
): Promise<Verdict> {
  if (compiler.refuses(mutant)) return { fate: 'refused', by: 'the compiler' };
  const chosen = specsFor(mutant, records, notices);
  if (chosen.length === 0) return { fate: 'SURVIVED', by: 'no test runs it' };
  const times = new Map(chosen.map(({ spec, milliseconds }) => [spec, milliseconds]));
  const allowed = (spec: string): number => LEAST_TIMEOUT + 5 * (times.get(spec) ?? 0);
  const original = copy.read(mutant.file);
  copy.write(mutant.file, original.slice(0, mutant.start) + mutant.replacement + original.slice(mutant.end));
  let isRestored = false;
  const restore = (): void => {
    if (!isRestored) copy.write(mutant.file, original);
    isRestored = true;
  };
  try {
    const run = await copy.test([...times.keys()], allowed);
    const last = run.results.at(-1);
    if (run.isPassed) return { fate: 'SURVIVED', by: `${chosen.length} test files` };
    const spec = run.late ?? last?.spec ?? '';
    // On a busy machine time may run out without any mutant, too.
    if (run.late !== undefined || last?.failure?.isTimeout === true) {
      restore();
      const control = await copy.test([spec], allowed);
      if (!control.isPassed) return { fate: 'unclear', by: `${spec} takes too long without the change, too` };
    }
    notices.set(`${mutant.file} ${spec}`, (notices.get(`${mutant.file} ${spec}`) ?? 0) + 1);
    return { fate: 'noticed', by: `${spec} ${last?.failure?.test ?? ''}` };
  } finally {
    restore();
  }
}

removeCopiesAtExit();
// Whoever works on the project meanwhile changes nothing here.
process.chdir(new ProjectCopy().folder);
const names = process.argv.slice(2);
const areas = areasOf(names.length > 0 ? names : ['core']);
const records = await record([...new Set(areas.flatMap(({ tests }) => specsOf(tests)))], JOBS, print);
const mutantsByArea = areas.map((area) => ({ area, all: allOf(area) }));
const total = mutantsByArea.reduce((sum, { all }) => sum + all.length, 0);
const tasks = mutantsByArea.flatMap(({ area, all }) => {
  const specs = new Set(specsOf(area.tests));
  const known = records.filter(({ spec }) => specs.has(spec));
  const chosen = all
    .slice(0, Math.ceil((COUNT * all.length) / total))
    .filter(({ file, line }) => ONLY.some((part) => `${file}:${line}`.includes(part)));
  print(`${area.folder}: ${chosen.length} of ${all.length} mutants`);
  return chosen.map((mutant) => ({ area, mutant, known }));
});

const fates = new Map<Area, Fate[]>(areas.map((area) => [area, []]));
const notices = new Map<string, number>();
const compiler = new Compiler(process.cwd());
// In an order that does not follow the folders: a run that is interrupted has tried some of each.
const queue = tasks.sort((one, other) => rankOf(SEED, one.mutant) - rankOf(SEED, other.mutant)).values();
process.once('exit', printScores);
async function work(): Promise<void> {
  const copy = new ProjectCopy();
  for (const { area, mutant, known } of queue) {
    const started = performance.now();
    const { fate, by } = await tryOut(compiler, copy, mutant, known, notices);
    fates.get(area)?.push(fate);
    const seconds = ((performance.now() - started) / 1000).toFixed(0);
    print(`  ${fate.padEnd(8)} ${mutant.file}:${mutant.line} ${mutant.what} (${by.trim()}, ${seconds} s)`);
  }
  copy.remove();
}
await Promise.all(Array.from({ length: JOBS }, work));
process.exit(0);

function printScores(): void {
  print('');
  for (const [{ folder }, of] of fates) if (of.length > 0) print(`${folder.padEnd(24)} ${scoreOf(of)}`);
  print(`${'all'.padEnd(24)} ${scoreOf([...fates.values()].flat())}`);
}

function scoreOf(of: readonly Fate[]): string {
  const numberOf = (wanted: Fate): number => of.filter((fate) => fate === wanted).length;
  const [byTests, byCompiler, survived, unclear] = [numberOf('noticed'), numberOf('refused'), numberOf('SURVIVED'), numberOf('unclear')];
  const share = (noticed: number): string =>
    `${noticed} of ${noticed + survived} (${((100 * noticed) / (noticed + survived)).toFixed(0)} %)`;
  return `${share(byTests + byCompiler)} noticed; without what the compiler refuses ${share(byTests)}${unclear > 0 ? `; ${unclear} unclear` : ''}`;
}
