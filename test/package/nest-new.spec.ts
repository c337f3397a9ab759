import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ROOT } from './paths.js';
import { ConsumerApplication } from './consumer-application.js';

const INSTALL = 400_000;
const RUN = 180_000;

/** What Jest and vitest say of a run, as JSON. */
interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly testResults: readonly { readonly name: string; readonly assertionResults: readonly { readonly title: string }[] }[];
}

const RUNNERS = [
  { nest: 11, title: 'Nest 11, CommonJS, Jest with ts-jest', json: ['--json', '--outputFile=report.json'], relative: '' },
  { nest: 12, title: 'Nest 12, ES modules, vitest', json: ['--reporter=json', '--outputFile=report.json'], relative: '.js' },
];

describe.each(RUNNERS)('In an application of `nest new` ($title)', ({ nest, json, relative }) => {
  let app: ConsumerApplication;

  beforeAll(async () => {
    app = await ConsumerApplication.nestNew(nest);
    await app.copy('with-globals/basket.ts', 'src/basket.spec.ts');
    for (const [source, name] of [
      ['conformance.ts', 'conformance.spec.ts'],
      ['map.repository.ts', 'map.repository.ts'],
    ] as const) {
      const content = await readFile(join(ROOT, 'test/package/consumer', source), 'utf8');
      await app.write(`src/${name}`, content.replace("repository.js'", `repository${relative}'`));
    }
    const module = await readFile(join(app.folder, 'src/app.module.ts'), 'utf8');
    await app.write(
      'src/app.module.ts',
      `import { ServerSessionModule } from 'nestjs-server-session';\n${module.replace('imports: [', "imports: [ServerSessionModule.forRoot({ type: 'memory' })")}`,
    );
  }, INSTALL);
  afterAll(() => app?.remove());

  it(
    'passes its unit tests, the conformance suite among them, with no configuration',
    async () => {
      await app.npm('test', '--', ...json);
      const report = JSON.parse(await readFile(join(app.folder, 'report.json'), 'utf8')) as Report;
      expect(report.numFailedTests).toBe(0);
      // Its own, the basket's, and the suite's.
      expect(report.numPassedTests).toBeGreaterThan(50);
      expect(report.testResults.map(({ name }) => name.replace(/.*\//, '')).sort()).toEqual([
        'app.controller.spec.ts',
        'basket.spec.ts',
        'conformance.spec.ts',
      ]);
    },
    RUN,
  );

  it('passes its end-to-end test', () => app.npm('run', 'test:e2e').then((output) => expect(output).not.toContain('failed')), RUN);

  it(
    'is built, and starts',
    async () => {
      await app.npm('run', 'build');
      const started = app.start('dist/main', { PORT: '0' });
      await started.printed(/Nest application successfully started/);
      expect(started.output).not.toMatch(/warning/i);
    },
    RUN,
  );
});
