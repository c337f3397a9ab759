/** Which tests know a folder of lib/: tried in this order until one notices, the quick ones first. */
export interface Area {
  readonly folder: string;
  readonly tests: readonly (readonly string[])[];
}

const HTTP = ['test/e2e/response-state', 'test/e2e/cookie', 'test/e2e/transport', 'test/e2e/save-errors', 'test/e2e/ways-to-answer'];
const FAULTS = ['test/e2e/failing-store', 'test/e2e/module.spec', 'test/e2e/early-load', 'test/e2e/middleware'];

export const AREAS: Readonly<Record<string, readonly Area[]>> = {
  core: [
    {
      folder: 'session',
      tests: [
        ['test/unit/session', 'test/unit/storage'],
        [...HTTP, ...FAULTS],
        ['test/admin', 'test/performance'],
      ],
    },
    { folder: 'http', tests: [['test/unit/http'], HTTP, FAULTS, ['test/interop/passport', 'test/performance']] },
    { folder: 'storage', tests: [['test/unit/storage', 'test/unit/session'], ['test/repositories/memory', ...HTTP], ['test/admin']] },
    { folder: 'common', tests: [['test/unit'], ['test/repositories/memory', ...FAULTS]] },
    { folder: 'options', tests: [['test/unit/options'], ['test/docs/options', 'test/e2e/module.spec']] },
    { folder: 'admin', tests: [['test/admin']] },
  ],
  'back-ends': ['memory', 'filesystem', 'redis', 'memcached', 'mongodb', 'typeorm'].map((name) => ({
    folder: `repositories/${name}`,
    tests: [[`test/repositories/${name}`, ...(name === 'memory' ? ['test/repositories/session-table'] : [])]],
  })),
};
