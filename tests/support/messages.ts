// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Finds the texts that users may see in source files: of errors, warnings and reports. */

import ts from "typescript";

/** A text, and the line that it begins in. */
export interface Message {
  readonly text: string;
  readonly line: number;
}

/**
 * The texts in a TypeScript file: each string or template with a blank in it, and whatever is
 * written down as the message of an error or for the console. Strings that `+` joins are one. What
 * is computed becomes `‹›`; within a text, what is there or not becomes `[this|that]`:
 *
 *     `${what}: got ${value}` + (isOld ? "; make a new one" : "")
 *     ‹›: got ‹›[; make a new one]
 */
export function messagesOfScript(source: string): Message[] {
  const file = ts.createSourceFile("source.ts", source, ts.ScriptTarget.Latest, true);
  const messages: Message[] = [];
  const visit = (node: ts.Node): void => {
    if (!isText(node)) return ts.forEachChild(node, visit);
    const { text, computed } = render(node);
    if (isProse(text) || isMessage(node)) {
      const { line } = file.getLineAndCharacterOfPosition(node.getStart());
      messages.push({ text: text.trim(), line: line + 1 });
    }
    computed.forEach(visit);
  };
  ts.forEachChild(file, visit);
  return messages.filter(({ text }) => /\p{L}{2}/u.test(text));
}

/** Whether there is a blank between two signs, or computed parts. */
function isProse(text: string): boolean {
  return /\S\s+\S/.test(text) || /^\s.*‹›|‹›.*\s$/.test(text);
}

/** Whether a node is a text as a whole. The key of an object is none. */
function isText(node: ts.Node): node is ts.Expression {
  if (ts.isPropertyAssignment(node.parent) && node.parent.name === node) return false;
  return ts.isStringLiteralLike(node) || ts.isTemplateExpression(node) || isSum(node);
}

function isSum(node: ts.Node): node is ts.BinaryExpression {
  return ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.PlusToken;
}

/** Whether a text stands where an error or the console is given what to say. */
function isMessage(node: ts.Node): boolean {
  const { parent } = node;
  if (ts.isParenthesizedExpression(parent) || ts.isConditionalExpression(parent)) {
    return isMessage(parent);
  }
  if (ts.isNewExpression(parent)) {
    const callee = parent.expression.getText();
    // Its first argument is a status: a name, and no text.
    if (callee === "FringeError" && parent.arguments?.[0] === node) return false;
    return /Error$|^Deno\.errors\./.test(callee);
  }
  return ts.isThrowStatement(parent) ||
    ts.isCallExpression(parent) && /^(?:console\.|super$)/.test(parent.expression.getText());
}

interface Rendered {
  readonly text: string;
  /** What stands behind each `‹›`. */
  readonly computed: readonly ts.Node[];
}

function render(node: ts.Expression): Rendered {
  if (ts.isStringLiteralLike(node)) return { text: node.text, computed: [] };
  if (ts.isParenthesizedExpression(node)) return render(node.expression);
  if (ts.isTemplateExpression(node)) {
    return join(
      { text: node.head.text, computed: [] },
      ...node.templateSpans.flatMap(({ expression, literal }) => [
        render(expression),
        { text: literal.text, computed: [] },
      ]),
    );
  }
  if (isSum(node)) return join(render(node.left), render(node.right));
  if (ts.isConditionalExpression(node)) {
    const parts = [render(node.whenTrue), render(node.whenFalse)];
    if (parts.every(({ text }) => text !== "‹›")) {
      const texts = parts.map(({ text }) => text).filter((text) => text !== "");
      const computed = [node.condition, ...parts.flatMap(({ computed }) => computed)];
      return { text: `[${texts.join("|")}]`, computed };
    }
  }
  return { text: "‹›", computed: [node] };
}

function join(...parts: readonly Rendered[]): Rendered {
  return {
    text: parts.map(({ text }) => text).join("").replace(/(?:‹›)+/g, "‹›"),
    computed: parts.flatMap(({ computed }) => computed),
  };
}

/** A comment, a line of a long string, a string, a call without strings or a name, or a sign. */
const ZIG_TOKENS = /\/\/.*|\\\\.*|"(?:[^"\\]|\\.)*"|@?[\w.]+(?:\([^()"]*\))?|\+\+|\S/g;

/**
 * The texts in a Zig file: each string with a blank in it, joined by `++` to its neighbours, where
 * whatever is no string becomes `‹›`. Its tests print nothing that a user sees.
 */
export function messagesOfZig(source: string): Message[] {
  const messages: Message[] = [];
  let text = "";
  let from = 0;
  let isJoined = false;
  const end = (): void => {
    if (isProse(text)) messages.push({ text: text.trim(), line: lineAt(source, from) });
    text = "";
  };
  for (const { 0: token, index } of source.split(/^test\b/m)[0]!.matchAll(ZIG_TOKENS)) {
    if (token.startsWith("//")) continue;
    if (token === "++") {
      isJoined = true;
      continue;
    }
    if (!isJoined) {
      end();
      from = index;
    }
    if (token.startsWith('"')) {
      text += token.slice(1, -1).replace("\\n", "").replace(/\{\w*\}/g, "‹›");
    } else if (isJoined) text += "‹›";
    isJoined = false;
  }
  end();
  return messages;
}

/** The texts in a header or a file of assembly: those of `#error` and `static_assert`. */
export function messagesOfC(source: string): Message[] {
  const joined = source.replace(/\\\n/g, "  ");
  const texts = joined.matchAll(/^#error "(.*)"$|static_assert\(.*?"(.*)"\)/gm);
  return [...texts].map(({ 1: error, 2: assertion, index }) => ({
    text: (error ?? assertion)!.replace(/ +/g, " "),
    line: lineAt(joined, index),
  }));
}

function lineAt(source: string, index: number): number {
  return source.slice(0, index).split("\n").length;
}
