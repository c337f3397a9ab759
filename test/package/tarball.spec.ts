import { beforeAll, describe, expect, it } from '@jest/globals';
import { type PackedPackage, packedPackage, type Target } from './packed-package.js';

let packed: PackedPackage;

beforeAll(async () => {
  packed = await packedPackage();
}, 300_000);

describe('The tarball', () => {
  it('holds the build, the manual and the licence, and nothing else', () => {
    const manual = ['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md', 'SECURITY.md', 'docs/README.md'];
    expect(packed.files).toEqual(expect.arrayContaining([...manual, 'dist/index.js', 'dist/cjs/index.js', 'dist/cjs/package.json']));
    const other = packed.files.filter(
      (path) => !manual.includes(path) && !/^(docs\/.+|dist\/.+\.(js|d\.ts)|dist\/cjs\/package\.json)$/.test(path),
    );
    expect(other).toEqual([]);
  });

  it('holds every file that "exports" names', () => {
    const targets = Object.values(packed.manifest.exports).flatMap(filesOf);
    expect(packed.files).toEqual(expect.arrayContaining(targets.map((target) => target.replace(/^\.\//, ''))));
  });
});

function filesOf(target: Target): string[] {
  return typeof target === 'string' ? [target] : Object.values(target).flatMap(filesOf);
}
