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
  const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true);
  const mutants: Mutant[] = [];
  const visit = (node: ts.Node): void => {
    if (isOutOfPlay(node)) return;
    for (const [target, replacement, what] of changesOf(node, source)) {
      const start = target.getStart(source);
      const line = source.getLineAndCharacterOfPosition(start).line + 1;
      mutants.push({ file, line, start, end: target.getEnd(), replacement, what });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return mutants;
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
  if (ts.isExpressionStatement(node) && !isSuperCall(node.expression)) return [[node, ';', `removed: ${brief(node)}`]];
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
