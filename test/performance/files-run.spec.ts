import { describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ADAPTERS } from '../e2e/application.js';
import { TYPESCRIPT_ARGS } from '../support/typescript-child.js';

/** Files of lib/. To add one to the way of every request is to raise one of these numbers knowingly. */
const AT_MOST = { read: { core: 16, backEnd: 3 }, change: { core: 19, backEnd: 3 } };

type Files = Record<'read' | 'change', string[]>;

describe.each(ADAPTERS)('On %s, with the memory back end,', (adapter) => {
  it('a read and a change run few files', async () => {
    const script = join(process.cwd(), 'test/performance/support/files-run.child.ts');
    const { stdout } = await promisify(execFile)(process.execPath, [...TYPESCRIPT_ARGS, script, adapter]);
    const files = JSON.parse(stdout) as Files;
    process.stdout.write(`files of lib/ that run on ${adapter}\n${listed(files, 'read')}\n${listed(files, 'change')}\n`);
    for (const what of ['read', 'change'] as const) {
      const backEnd = files[what].filter(isOfBackEnd).length;
      expect(backEnd).toBeGreaterThan(0);
      expect(backEnd).toBeLessThanOrEqual(AT_MOST[what].backEnd);
      expect(files[what].length - backEnd).toBeLessThanOrEqual(AT_MOST[what].core);
    }
  }, 300_000);
});

function listed(files: Files, what: keyof Files): string {
  const backEnd = files[what].filter(isOfBackEnd).length;
  return [`${what}: ${files[what].length - backEnd} files of the core, ${backEnd} of the back end`, ...files[what]].join('\n  ');
}

function isOfBackEnd(file: string): boolean {
  return file.startsWith('repositories/');
}
