/** A folder of lib/, and the tests that may know it: names of folders, or how names of files begin. */
export interface Area {
  readonly folder: string;
  readonly tests: readonly string[];
}

const HTTP_TESTS = [
  'cookie',
  'early-load',
  'failing-store',
  'after-the-head',
  'middleware',
  'module',
  'response-state',
  'save-errors',
  'transport',
  'ways-to-answer',
];
const LIBRARIES = ['express-session-behaviour', 'gateways', 'graphql', 'passport'];
const CORE_TESTS = [
  'unit',
  'admin',
  'performance/store-calls',
  'docs/options',
  ...HTTP_TESTS.map((name) => `e2e/${name}`),
  ...LIBRARIES.map((name) => `interop/${name}`),
];
const CORE = ['session', 'http', 'storage', 'common', 'options', 'admin', 'telemetry'];
const BACK_ENDS: Readonly<Record<string, readonly string[]>> = {
  memory: ['repositories/memory', 'repositories/session-table'],
  filesystem: ['repositories/filesystem', 'repositories/file-record', 'performance/files-run'],
  redis: ['repositories/redis', 'e2e/redis', 'admin/redis-index', 'performance/redis-commands'],
  memcached: ['repositories/memcached'],
  mongodb: ['repositories/mongodb', 'e2e/mongoose-wiring'],
  typeorm: ['repositories/typeorm', 'e2e/typeorm-wiring'],
};

export const AREAS: Readonly<Record<string, readonly Area[]>> = {
  core: CORE.map((folder) => ({ folder, tests: CORE_TESTS })),
  'back-ends': Object.entries(BACK_ENDS).map(([name, tests]) => ({
    folder: `repositories/${name}`,
    tests: [...tests, 'repositories/back-ends', 'unit/options/boot-errors'],
  })),
};

/** The areas of these names: of folders, or `core`, `back-ends`. @throws Error for a name that is none of them */
export function areasOf(names: readonly string[]): Area[] {
  const all = Object.values(AREAS).flat();
  return names.flatMap((name) => {
    const chosen = AREAS[name] ?? all.filter(({ folder }) => folder === name || folder === `repositories/${name}`);
    if (chosen.length === 0)
      throw new Error(`'${name}' is none of ${[...Object.keys(AREAS), ...all.map(({ folder }) => folder)].join(', ')}`);
    return chosen;
  });
}
