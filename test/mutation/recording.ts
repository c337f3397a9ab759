import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withProbes } from './mutants.js';
import { ProjectCopy } from './project-copy.js';

/** How long a test file takes when nothing is changed, and the functions of lib/ that it runs. */
export interface SpecRecord {
  readonly spec: string;
  readonly milliseconds: number;
  /** Milliseconds as well, but the same on a busy machine. */
  readonly processorTime: number;
  readonly places: ReadonlySet<string>;
}

const LONGEST = 600_000;
const filesBelow = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((file) => join(folder, file))
    .filter((file) => /\.[jt]s$/.test(file))
    .sort();

/** The test files in these folders of test/, or whose names begin so. */
export function specsOf(names: readonly string[]): string[] {
  const all = filesBelow('test').filter((file) => file.endsWith('.spec.ts'));
  return all.filter((file) => names.some((name) => new RegExp(`^test/${name}[-./]`).test(file)));
}

/** Runs each test file once with probes in lib/. What is known of a file is kept as long as it, lib/ and the helpers of the tests stay the same. */
export async function record(specs: readonly string[], jobs: number, print: (line: string) => void): Promise<SpecRecord[]> {
  const shared = [
    ...filesBelow('lib'),
    ...filesBelow('test').filter((file) => !file.endsWith('.spec.ts') && (!file.startsWith('test/mutation/') || file.endsWith('.js'))),
  ];
  const common = createHash('sha256').update(shared.map((file) => readFileSync(file)).join('\0'));
  const folder = join(tmpdir(), 'server-session-mutation-records');
  const pathOf = (spec: string): string => join(folder, common.copy().update(spec).update(readFileSync(spec)).digest('hex'));
  mkdirSync(folder, { recursive: true });

  const known = new Map<string, SpecRecord>();
  const missing = specs.filter((spec) => {
    const kept = readKept(pathOf(spec), spec);
    if (kept !== undefined) known.set(spec, kept);
    return kept === undefined;
  });
  if (missing.length > 0) print(`recording what ${missing.length} test files run`);
  const queue = missing.values();
  const recordSome = async (): Promise<void> => {
    const copy = new ProjectCopy();
    for (const file of filesBelow('lib')) copy.write(file, withProbes(file, copy.read(file)));
    for (const spec of queue) {
      const { results, isPassed, late } = await copy.test([spec], () => LONGEST);
      const [result] = results;
      if (!isPassed || result === undefined) {
        print(
          `  left out, as it fails without any change: ${spec} ${late === undefined ? (result?.failure?.test ?? '') : 'takes too long'}`,
        );
        continue;
      }
      const { milliseconds, processorTime, places } = result;
      writeFileSync(pathOf(spec), JSON.stringify({ milliseconds, processorTime, places }));
      known.set(spec, { spec, milliseconds, processorTime, places: new Set(places) });
    }
    copy.remove();
  };
  await Promise.all(Array.from({ length: Math.min(jobs, missing.length) }, recordSome));
  return [...known.values()];
}

function readKept(path: string, spec: string): SpecRecord | undefined {
  try {
    const { places, ...times } = JSON.parse(readFileSync(path, 'utf8')) as Omit<SpecRecord, 'spec' | 'places'> & { places: string[] };
    return { spec, ...times, places: new Set(places) };
  } catch {
    return undefined;
  }
}
