import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import type { Mutant } from './mutants.js';

/** Tells of a change whether it makes a program. */
export class Compiler {
  private readonly service: ts.LanguageService;
  private readonly files: readonly string[];
  private changed: { readonly path: string; readonly text: string } | undefined;
  private version = 0;

  /** @param folder of the project */
  constructor(private readonly folder: string) {
    const { config } = ts.readConfigFile(join(folder, 'tsconfig.json'), (path) => ts.sys.readFile(path));
    const { options, fileNames } = ts.parseJsonConfigFileContent({ ...config, include: ['lib'] }, ts.sys, folder);
    this.files = fileNames;
    this.service = ts.createLanguageService({
      getCompilationSettings: () => options,
      getScriptFileNames: () => [...this.files],
      getScriptVersion: (path) => (path === this.changed?.path ? `changed ${this.version}` : '0'),
      getScriptSnapshot: (path) => {
        if (path === this.changed?.path) return ts.ScriptSnapshot.fromString(this.changed.text);
        return existsSync(path) ? ts.ScriptSnapshot.fromString(readFileSync(path, 'utf8')) : undefined;
      },
      getCurrentDirectory: () => folder,
      getDefaultLibFileName: (given) => ts.getDefaultLibFilePath(given),
      fileExists: (path) => ts.sys.fileExists(path),
      readFile: (path) => ts.sys.readFile(path),
      readDirectory: (...args) => ts.sys.readDirectory(...args),
      directoryExists: (path) => ts.sys.directoryExists(path),
      getDirectories: (path) => ts.sys.getDirectories(path),
      ...(ts.sys.realpath === undefined ? {} : { realpath: (path: string) => ts.sys.realpath!(path) }),
    });
  }

  /** Whether the changed file has errors of syntax or types. */
  refuses({ file, start, end, replacement }: Mutant): boolean {
    const path = join(this.folder, file);
    const text = readFileSync(path, 'utf8');
    this.changed = { path, text: text.slice(0, start) + replacement + text.slice(end) };
    this.version++;
    try {
      return this.service.getSyntacticDiagnostics(path).length > 0 || this.service.getSemanticDiagnostics(path).length > 0;
    } finally {
      this.changed = undefined;
    }
  }
}
