import { describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ADAPTERS } from '../e2e/application.js';
import { TYPESCRIPT_ARGS } from '../support/typescript-child.js';

/** Files of lib/, the memory back end's among them. Who adds one to the way of every request raises these numbers knowingly. */
const AT_MOST = { read: 28, change: 35 };

describe.each(ADAPTERS)('On %s, with the memory back end,', (adapter) => {
  it('a read and a change run few files', async () => {
    const script = join(process.cwd(), 'test/performance/support/files-run.child.ts');
    const { stdout } = await promisify(execFile)(process.execPath, [...TYPESCRIPT_ARGS, script, adapter]);
    const files = JSON.parse(stdout) as Record<'read' | 'change', string[]>;
    const lines = Object.entries(files).map(([what, names]) => `${what}: ${names.length} files\n  ${names.join('\n  ')}`);
    process.stdout.write(`files of lib/ that run on ${adapter}\n${lines.join('\n')}\n`);
    expect(files.read.length).toBeGreaterThan(0);
    expect(files.read.length).toBeLessThanOrEqual(AT_MOST.read);
    expect(files.change.length).toBeLessThanOrEqual(AT_MOST.change);
  }, 300_000);
});
