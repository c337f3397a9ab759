/** @type {import('jest').Config} */
export default {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.spec.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: {
    '^nestjs-server-session$': '<rootDir>/lib/index.ts',
    '^nestjs-server-session/testing$': '<rootDir>/lib/testing/index.ts',
    '^nestjs-server-session/interop$': '<rootDir>/lib/interop/index.ts',
    '^nestjs-server-session/health$': '<rootDir>/lib/health/index.ts',
    // The newest one is an ES module, which Jest lets no CommonJS package require before Node 24.9.
    '^content-disposition$': '<rootDir>/node_modules/content-disposition/dist/index.js',
    '^(\\.{1,2}/.*)\\.js$': '$1',
  },
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: {
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true, decoratorMetadata: true },
          target: 'es2022',
          keepClassNames: true,
        },
        module: { type: 'es6' },
        sourceMaps: 'inline',
      },
    ],
  },
  // Fetches the servers that are missing, once, and says at the end what the tests ran on.
  globalSetup: '<rootDir>/test/servers/global-setup.ts',
  globalTeardown: '<rootDir>/test/servers/global-teardown.ts',
  reporters: ['default', '<rootDir>/test/package/constellation-table.js', '<rootDir>/test/count-reporter.js'],
  testTimeout: 60_000,
  maxWorkers: 2,
};
