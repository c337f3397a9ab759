import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ConsumerApplication } from './consumer-application.js';

const INSTALL = 400_000;
const RUN = 180_000;

describe('In an application of ES modules', () => {
  let app: ConsumerApplication;

  beforeAll(async () => {
    app = await ConsumerApplication.create({
      type: 'module',
      dependencies: {
        '@nestjs/common': '^12.0.0',
        '@nestjs/core': '^12.0.0',
        '@nestjs/platform-express': '^12.0.0',
        'reflect-metadata': '^0.2.2',
        rxjs: '^7.8.2',
      },
      devDependencies: {
        '@nestjs/testing': '^12.0.0',
        '@types/jest': '^30.0.0',
        '@types/node': '^20.19.0',
        '@types/supertest': '^7.0.0',
        jest: '^30.0.0',
        mocha: '^11.0.0',
        supertest: '^7.0.0',
      },
    });
    await Promise.all(['with-globals/basket.ts', 'conformance.ts', 'map.repository.ts'].map((name) => app.copy(name)));
    await app.compile(['with-globals/basket.ts', 'conformance.ts'], {
      strict: true,
      skipLibCheck: true,
      types: ['node', 'jest'],
      typeRoots: ['node_modules/@types'],
    });
  }, INSTALL);
  afterAll(() => app?.remove());

  it(
    'Jest runs tests of the application, and the conformance suite',
    async () => {
      await app.write('jest.config.js', "export default { transform: {}, testMatch: ['**/conformance.js', '**/basket.js'] };");
      await app.run('jest/bin/jest.js', ['--json', '--outputFile=report.json'], { NODE_OPTIONS: '--experimental-vm-modules' });
      const report = JSON.parse(await readFile(join(app.folder, 'report.json'), 'utf8')) as Record<string, number>;
      expect(report).toMatchObject({ numFailedTests: 0, numPassedTestSuites: 2 });
      expect(report['numPassedTests']).toBeGreaterThan(50);
    },
    RUN,
  );

  it(
    'node:test runs the conformance suite',
    async () => {
      const output = await app.node('--test', '--test-reporter=tap', 'conformance.js');
      expect(output).toMatch(/^# fail 0$/m);
      expect(Number(/^# pass (\d+)$/m.exec(output)?.[1])).toBeGreaterThan(50);
    },
    RUN,
  );

  it(
    'mocha runs the conformance suite',
    async () => {
      const output = await app.run('mocha/bin/mocha.js', ['conformance.js']);
      expect(Number(/(\d+) passing/.exec(output)?.[1])).toBeGreaterThan(50);
    },
    RUN,
  );
});
