import shared from '../../jest.config.js';

/** The full run, `npm run test:faults`: every back end and every fault, and many more interleavings. Takes some 20 minutes. */
process.env.FAULT_RUNS ??= '10000';

/** @type {import('jest').Config} */
export default {
  ...shared,
  rootDir: '../..',
  roots: ['<rootDir>/test/faults'],
  testMatch: ['**/*.full.ts', '**/*.spec.ts'],
  testPathIgnorePatterns: ['/outages.spec.ts$'],
  verbose: true,
};
