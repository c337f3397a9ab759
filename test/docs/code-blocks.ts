import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import ts from 'typescript';
import { ROOT } from '../package/paths.js';

/** What a block may leave out: what it would import from packages, and what stands elsewhere in the application. */
export const PACKAGES = join(ROOT, 'test/docs/prelude/packages.ts');
export const APPLICATION = join(ROOT, 'test/docs/prelude/application.ts');

/** A `ts` block of a page. */
export interface CodeBlock {
  /** Page and line, as in `docs/redis.md:13`. */
  readonly place: string;
  /** What other blocks of its page import it as: the name in its first line, as in `// cart.controller.ts`. */
  readonly name: string | undefined;
  readonly code: string;
}

/** The pages that an application's developer reads. */
export async function pages(): Promise<string[]> {
  const docs = await readdir(join(ROOT, 'docs'), { recursive: true });
  return ['README.md', 'SECURITY.md', 'CONTRIBUTING.md', ...docs.filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`)];
}

export async function codeBlocks(): Promise<CodeBlock[]> {
  const found: CodeBlock[] = [];
  for (const page of await pages()) {
    const content = await readFile(join(ROOT, page), 'utf8');
    for (const match of content.matchAll(/^( *)```ts\b.*\n([\s\S]*?)^\1```/gm)) {
      const [, indent = '', code = ''] = match;
      const line = content.slice(0, match.index).split('\n').length;
      const name = /^\/\/ (\S+\.ts)$/m.exec(code.split('\n', 1)[0] ?? '')?.[1];
      found.push({ place: `${page}:${line}`, name, code: code.replaceAll(new RegExp(`^${indent}`, 'gm'), '') });
    }
  }
  return found;
}

/** A block as a module of its own. */
export interface BlockModule {
  readonly place: string;
  readonly name: string | undefined;
  /** Where the compiler is told that it lies. */
  readonly path: string;
  readonly source: string;
  /** Whether it can be run as it stands: it needs nothing of an application, no test runner, and no client of a server. */
  readonly runs: boolean;
}

export class BlockCompiler {
  private readonly options: ts.CompilerOptions;
  private readonly host: ts.CompilerHost;
  private readonly sources = new Map<string, string>();
  private readonly names: ReadonlyMap<string, ReadonlySet<string>>;
  private readonly parsed = new Map<string, ts.SourceFile | undefined>();

  constructor() {
    const { config } = ts.readConfigFile(join(ROOT, 'tsconfig.json'), (file) => ts.sys.readFile(file)) as {
      config: { compilerOptions: object };
    };
    const { options } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT);
    // As strict as an application may be expected to be.
    this.options = {
      ...options,
      noPropertyAccessFromIndexSignature: false,
      noUncheckedIndexedAccess: false,
      isolatedModules: false,
    };
    this.host = this.makeHost();
    const program = ts.createProgram([PACKAGES, APPLICATION], this.options, this.host);
    this.names = new Map([PACKAGES, APPLICATION].map((file) => [file, exportsOf(program, file)]));
  }

  /** The block with the imports that it leaves out, and with a class or an object literal around it where it is part of one. */
  complete({ place, name, code }: CodeBlock): BlockModule {
    const shortened = code.replaceAll('{ … }', '{}');
    const forms = [
      shortened,
      `class Fragment {\n${shortened}\n}`,
      `({\n${shortened}\n}) satisfies ServerSessionOptions;`,
      `(${shortened}) satisfies ServerSessionOptions;`,
    ];
    const body = forms.find((form) => ts.transpileModule(form, { reportDiagnostics: true }).diagnostics?.length === 0) ?? shortened;
    const used = identifiersOf(body);
    const imports = [...this.names].map(([file, names]) => ({ file, left: [...used].filter((identifier) => names.has(identifier)) }));
    const header = imports.map(({ file, left }) => `import { ${left.join(', ')} } from '${specifierOf(file)}';`).join(' ');
    const needsApplication = imports.some(({ file, left }) => file === APPLICATION && left.length > 0);
    const [page = '', line = ''] = place.split(':');
    const path = join(ROOT, 'test/docs', page.replaceAll(/\W/g, '-'), name ?? `line-${line}.ts`);
    return {
      place,
      name,
      path,
      source: `${header} export {};\n${body}`,
      runs: !needsApplication && !/\b(describe|it|test|describeSessionRepository)\(|\bnew [A-Z]\w*(Client|Redis)\b/.test(body),
    };
  }

  /** What the compiler has to say, by place. */
  check(blocks: readonly BlockModule[]): Map<string, string[]> {
    for (const { path, source } of blocks) this.sources.set(path, source);
    const program = ts.createProgram(
      blocks.map(({ path }) => path),
      this.options,
      this.host,
    );
    return new Map(blocks.map(({ place, path }) => [place, complaints(program, path)]));
  }

  private makeHost(): ts.CompilerHost {
    const host = ts.createCompilerHost(this.options);
    const { fileExists, getSourceFile, directoryExists } = host;
    host.directoryExists = (folder) =>
      [...this.sources.keys()].some((file) => dirname(file) === folder) || (directoryExists?.call(host, folder) ?? true);
    host.fileExists = (file) => this.sources.has(file) || fileExists.call(host, file);
    host.getSourceFile = (file, target, ...rest) => {
      const source = this.sources.get(file);
      if (source !== undefined) return ts.createSourceFile(file, source, target, true);
      // Declarations of packages are parsed once for both programs.
      if (!this.parsed.has(file)) this.parsed.set(file, getSourceFile.call(host, file, target, ...rest));
      return this.parsed.get(file);
    };
    return host;
  }
}

/** The blocks are told to lie in a folder for each page. */
function specifierOf(file: string): string {
  return `../${relative(join(ROOT, 'test/docs'), file).replace(/\.ts$/, '.js')}`;
}

/** The packages that a module imports, as the files of this folder see them. */
export async function importsOf(source: string): Promise<Map<string, unknown>> {
  const found = new Map<string, unknown>();
  for (const [, from, alone] of source.matchAll(/\bfrom '([^']+)'|^import '([^']+)'/gm)) {
    const name = from ?? alone ?? '';
    if (!name.startsWith('./')) found.set(name, await import(name.replace('../prelude/', './prelude/')));
  }
  return found;
}

/** A module as the body of a function of `exports` and `require`. */
export function transpile(source: string): string {
  const compilerOptions: ts.CompilerOptions = {
    module: ts.ModuleKind.CommonJS,
    // What is imported are namespaces already.
    esModuleInterop: false,
    ignoreDeprecations: '6.0',
    target: ts.ScriptTarget.ES2022,
    experimentalDecorators: true,
    emitDecoratorMetadata: true,
  };
  return ts.transpileModule(source, { compilerOptions }).outputText;
}

function exportsOf(program: ts.Program, file: string): Set<string> {
  const checker = program.getTypeChecker();
  const source = program.getSourceFile(file);
  const symbol = source && checker.getSymbolAtLocation(source);
  if (symbol === undefined) throw new Error(`${file} is not a module`);
  return new Set(checker.getExportsOfModule(symbol).map(({ name }) => name));
}

/** All names that are used; an import of one more is harmless, but for those that the block itself declares or imports. */
function identifiersOf(code: string): Set<string> {
  const source = ts.createSourceFile('block.ts', code, ts.ScriptTarget.ES2023, true);
  const used = new Set<string>();
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node)) used.add(node.text);
    ts.forEachChild(node, visit);
  };
  visit(source);
  for (const statement of source.statements) for (const name of declaredBy(statement)) used.delete(name);
  return used;
}

function declaredBy(statement: ts.Statement): string[] {
  if (ts.isImportDeclaration(statement)) {
    const { name, namedBindings } = statement.importClause ?? {};
    const bound = namedBindings === undefined ? [] : ts.isNamespaceImport(namedBindings) ? [namedBindings] : [...namedBindings.elements];
    return [...(name ? [name.text] : []), ...bound.map((element) => element.name.text)];
  }
  if (ts.isVariableStatement(statement)) return statement.declarationList.declarations.flatMap(({ name }) => namesIn(name));
  const { name } = statement as ts.Statement & { name?: ts.Node };
  return name !== undefined && ts.isIdentifier(name) ? [name.text] : [];
}

function namesIn(name: ts.BindingName): string[] {
  if (ts.isIdentifier(name)) return [name.text];
  return name.elements.flatMap((element) => (ts.isBindingElement(element) ? namesIn(element.name) : []));
}

function complaints(program: ts.Program, path: string): string[] {
  const source = program.getSourceFile(path);
  const diagnostics = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
  return diagnostics.map(({ file, start, messageText }) => {
    const line =
      file === undefined || start === undefined ? '' : file.text.split('\n')[file.getLineAndCharacterOfPosition(start).line]?.trim();
    return `${ts.flattenDiagnosticMessageText(messageText, '\n')} in: ${line}`;
  });
}
