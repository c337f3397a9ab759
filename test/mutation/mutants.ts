import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import ts from 'typescript';

/** One small change to a source file, as somebody might make it by mistake. */
export interface Mutant {
  readonly file: string;
  readonly line: number;
  readonly start: number;
  readonly end: number;
  readonly replacement: string;
  readonly what: string;
  /** The function that it is in, by the name which its probe has: the file's own for what runs as the file is loaded. */
  readonly place: string;
  /** The same whatever else changes in the project, so that a seed keeps choosing it. */
  readonly identity: string;
}

type Change = readonly [node: ts.Node, replacement: string, what: string];

const OTHER_OPERATOR: Partial<Record<ts.SyntaxKind, string>> = {
  [ts.SyntaxKind.LessThanToken]: '<=',
  [ts.SyntaxKind.LessThanEqualsToken]: '<',
  [ts.SyntaxKind.GreaterThanToken]: '>=',
  [ts.SyntaxKind.GreaterThanEqualsToken]: '>',
  [ts.SyntaxKind.EqualsEqualsEqualsToken]: '!==',
  [ts.SyntaxKind.ExclamationEqualsEqualsToken]: '===',
  [ts.SyntaxKind.EqualsEqualsToken]: '!=',
  [ts.SyntaxKind.ExclamationEqualsToken]: '==',
  [ts.SyntaxKind.AmpersandAmpersandToken]: '||',
  [ts.SyntaxKind.BarBarToken]: '&&',
  [ts.SyntaxKind.PlusToken]: '-',
  [ts.SyntaxKind.MinusToken]: '+',
  [ts.SyntaxKind.AsteriskToken]: '/',
  [ts.SyntaxKind.SlashToken]: '*',
};

/** Every change that can be tried in a file. */
export function mutantsOf(file: string): Mutant[] {
  const source = parse(file, readFileSync(file, 'utf8'));
  const lines = source.text.split('\n');
  const mutants: Mutant[] = [];
  const seen = new Map<string, number>();
  const visit = (node: ts.Node, place: string): void => {
    if (isOutOfPlay(node)) return;
    for (const [target, replacement, what] of changesOf(node, source)) {
      const start = target.getStart(source);
      const { line } = source.getLineAndCharacterOfPosition(start);
      const code = `${what} in ${lines[line]?.trim()}`;
      const nth = seen.get(code) ?? 0;
      seen.set(code, nth + 1);
      mutants.push({ file, line: line + 1, start, end: target.getEnd(), replacement, what, place, identity: `${nth} ${code}` });
    }
    ts.forEachChild(node, (child) => visit(child, probed(node) === child ? placeOf(file, child) : place));
  };
  visit(source, file);
  return mutants;
}

/** The same number below 2 ** 32 for the same seed and mutant: those with the lowest ones are chosen. */
export function rankOf(seed: number, { identity }: Mutant): number {
  return createHash('sha256').update(`${seed} ${identity}`).digest().readUInt32BE();
}

/** The text of a source file with a probe at the start of each function, which says that it ran. */
export function withProbes(file: string, text: string): string {
  const source = parse(file, text);
  const insertions: { readonly at: number; readonly code: string }[] = [];
  const probe = (place: string): string => `globalThis.__placesThatRan?.add(${JSON.stringify(place)})`;
  const visit = (node: ts.Node): void => {
    const body = probed(node);
    if (body !== undefined && ts.isBlock(body)) {
      insertions.push({ at: body.getStart(source) + 1, code: `${probe(placeOf(file, body))};` });
    } else if (body !== undefined) {
      insertions.push({ at: body.getStart(source), code: `(${probe(placeOf(file, body))}, ` }, { at: body.getEnd(), code: ')' });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  let result = text;
  for (const { at, code } of insertions.sort((one, other) => other.at - one.at)) result = result.slice(0, at) + code + result.slice(at);
  return `${result}\n${probe(file)};\n`;
}

function parse(file: string, text: string): ts.SourceFile {
  return ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
}

/** The body of a function: what runs only as it is called. */
function probed(node: ts.Node): ts.Node | undefined {
  return ts.isFunctionLike(node) ? (node as ts.FunctionLikeDeclaration).body : undefined;
}

function placeOf(file: string, body: ts.Node): string {
  return `${file}@${body.getStart()}`;
}

/** Types do not run, and what an error says is no behaviour that a test has to pin down. */
function isOutOfPlay(node: ts.Node): boolean {
  return (
    ts.isTypeNode(node) ||
    ts.isImportDeclaration(node) ||
    ts.isExportDeclaration(node) ||
    ts.isInterfaceDeclaration(node) ||
    ts.isTypeAliasDeclaration(node) ||
    (ts.isNewExpression(node) && node.expression.getText().endsWith('Error'))
  );
}

function changesOf(node: ts.Node, source: ts.SourceFile): Change[] {
  const brief = (of: ts.Node): string => of.getText(source).replace(/\s+/g, ' ').slice(0, 70);
  if (ts.isIfStatement(node) || ts.isWhileStatement(node)) return [negated(node.expression, brief)];
  if (ts.isConditionalExpression(node)) return [negated(node.condition, brief)];
  if (ts.isBinaryExpression(node)) {
    const other = OTHER_OPERATOR[node.operatorToken.kind];
    const isText = [node.left, node.right].some((side) => ts.isStringLiteral(side) || ts.isTemplateExpression(side));
    return other === undefined || isText
      ? []
      : [[node.operatorToken, other, `${brief(node)}: ${brief(node.operatorToken)} becomes ${other}`]];
  }
  if (node.kind === ts.SyntaxKind.TrueKeyword) return [[node, 'false', `true becomes false in ${brief(node.parent)}`]];
  if (node.kind === ts.SyntaxKind.FalseKeyword) return [[node, 'true', `false becomes true in ${brief(node.parent)}`]];
  if (ts.isReturnStatement(node) && node.expression !== undefined)
    return [[node, 'return undefined;', `${brief(node)}: returns undefined`]];
  if (ts.isExpressionStatement(node) && !isSuperCall(node.expression)) return [[node, '{}', `removed: ${brief(node)}`]];
  if (ts.isStringLiteral(node) && node.text !== '' && !isName(node))
    return [[node, "''", `emptied: ${brief(node)} in ${brief(node.parent)}`]];
  return [];
}

function negated(condition: ts.Expression, brief: (of: ts.Node) => string): Change {
  return [condition, `!(${condition.getText()})`, `negated: ${brief(condition)}`];
}

function isSuperCall(expression: ts.Expression): boolean {
  return ts.isCallExpression(expression) && expression.expression.kind === ts.SyntaxKind.SuperKeyword;
}

function isName({ parent }: ts.StringLiteral): boolean {
  return ts.isPropertyAssignment(parent) && ts.isStringLiteral(parent.name) && parent.name === parent.getChildAt(0);
}
