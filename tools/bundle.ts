// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Makes `ffi/fringe.js`: what `ffi/exports.ts` exports, with everything that it imports, in one
 * file. Deno takes a quarter of a millisecond for each module of TypeScript that a program loads,
 * and a request for each that comes over HTTP.
 *
 * rollup joins the modules and leaves their statements as they are, `const` and `class` among
 * them: V8 keeps constants in machine code, where it would load a `var` each time. Only where a
 * constant is a number, the number takes the place of its name: the name would be 11 bytes of
 * bytecode, and V8 inlines what has few.
 *
 * @module
 */

import { dirname, join } from "node:path";
import { type Plugin, rollup } from "rollup";
import typescript from "typescript";
import { root } from "./zig.ts";

/** What is joined with all that it imports, and what that makes; `deno.json` maps it back. */
export const [SOURCE, BUNDLE] = ["ffi/exports.ts", "ffi/fringe.js"] as const;

const HEAD = `// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors
// Made by \`deno task build\` (tools/bundle.ts) from ${SOURCE} and what that imports: edit those.
`;

/** Takes types and comments away, and leaves all else as it is. */
const types: Plugin = {
  name: "types",
  transform(code, fileName) {
    const { ESNext: target } = typescript.ScriptTarget;
    const { ESNext: module } = typescript.ModuleKind;
    const compilerOptions = { target, module, verbatimModuleSyntax: true, removeComments: true };
    const { outputText } = typescript.transpileModule(code, { fileName, compilerOptions });
    return { code: outputText, map: null };
  },
};

/**
 * The text of `ffi/fringe.js`. The module that has the libraries stays beside it, since it knows
 * where they lie as files.
 */
export async function bundle(entry: string = join(root, SOURCE)): Promise<string> {
  const modules = await rollup({
    input: entry,
    external: (name) => name.endsWith("/prebuilt.js"),
    plugins: [types],
    treeshake: false,
    onwarn: (warning) => {
      throw new Error(`Cannot make ${BUNDLE}: ${warning.message}`);
    },
  });
  const { output } = await modules.generate({ dir: dirname(join(root, BUNDLE)), banner: HEAD });
  return compiledAtOnce(withNumbers(output[0].code), AT_THE_START);
}

/**
 * The functions that a program calls which makes its first stack and generator. V8 compiles a
 * function when it is first called, and Deno keeps the machine-independent code of a module as it
 * is before that: so these would be compiled anew in each process.
 */
const AT_THE_START = [
  ...["bare", "checkGrant", "checkKeys", "checkRuntime", "checkScript", "checkSize"],
  ...["contextOfNone", "depthNow", "endGone", "isGeneratorFunction", "isScriptGenerator", "load"],
  ...["machineOf", "makeYielder", "map", "mayReadOverride", "memoryIn", "memoryOf"],
  ...["nativeStacks", "needStack", "open", "openNative", "openNow", "openPrebuilt", "overflowOf"],
  ...["own", "pathOf", "symbolOf", "unmapLeft", "verify"],
];

/**
 * Has V8 compile functions together with the module, which it does where a function stands in
 * parentheses:
 *
 *     function open() { … }     becomes     const open = (function open() { … });
 */
export function compiledAtOnce(code: string, names: readonly string[]): string {
  const script = typescript.createSourceFile("a.js", code, typescript.ScriptTarget.ESNext, true);
  const left = new Set(names);
  let [written, from] = ["", 0];
  for (const statement of script.statements) {
    if (!typescript.isFunctionDeclaration(statement)) continue;
    const name = statement.name!.text;
    // rollup numbers those that have the same name.
    const base = name.replace(/\$\d+$/, "");
    if (!names.includes(base)) continue;
    left.delete(base);
    const text = code.slice(statement.getStart(), statement.end);
    written += `${code.slice(from, statement.getStart())}const ${name} = (${text});`;
    from = statement.end;
  }
  if (left.size > 0) throw new Error(`Cannot make ${BUNDLE}: it has no ${[...left].join(", ")}`);
  return written + code.slice(from);
}

/** The value of each constant of a script that is a number, or an object of numbers. */
type Constants = Map<string, number | ReadonlyMap<string, number>>;

/**
 * Puts numbers in place of their names:
 *
 *     const Entry = { checked: 0, u32: 1 };
 *     const { u32: U32 } = Entry;
 *     if (entry === U32) f(Entry.checked);     becomes     if (entry === 1) f(0);
 *
 * A name that is declared more than once is left alone, wherever it is declared; so is an object
 * of which more is done than to read a field.
 */
export function withNumbers(code: string): string {
  const script = typescript.createSourceFile("a.js", code, typescript.ScriptTarget.ESNext, true);
  const constants = constantsOf(script);
  let [written, from] = ["", 0];
  const visit = (node: typescript.Node): void => {
    const value = valueOf(node, constants);
    // `1.name` is no expression.
    const isReplaced = typeof value === "number" && isUse(node) &&
      !typescript.isPropertyAccessExpression(node.parent);
    if (!isReplaced) return node.forEachChild(visit);
    written += code.slice(from, node.getStart()) + value;
    from = node.end;
  };
  visit(script);
  return written + code.slice(from);
}

function constantsOf(script: typescript.SourceFile): Constants {
  const declared = new Map<string, number>();
  const count = (node: typescript.Node): void => {
    const { name } = node as { name?: typescript.Node };
    if (name !== undefined && typescript.isIdentifier(name) && !isProperty(node)) {
      declared.set(name.text, (declared.get(name.text) ?? 0) + 1);
    }
    node.forEachChild(count);
  };
  count(script);
  const constants: Constants = new Map();
  for (const statement of script.statements) {
    if (!typescript.isVariableStatement(statement)) continue;
    if ((statement.declarationList.flags & typescript.NodeFlags.Const) === 0) continue;
    for (const { name, initializer } of statement.declarationList.declarations) {
      const value = initializer && valueOf(initializer, constants);
      if (value === undefined) continue;
      const parts = typescript.isObjectBindingPattern(name) ? name.elements : [];
      if (typescript.isIdentifier(name)) constants.set(name.text, value);
      for (const { propertyName, name } of parts) {
        const part = typeof value === "object" && value.get((propertyName ?? name).getText());
        if (typeof part === "number") constants.set(name.getText(), part);
      }
    }
  }
  for (const [name, times] of declared) if (times > 1) constants.delete(name);
  const drop = (node: typescript.Node): void => {
    if (typescript.isIdentifier(node) && typeof constants.get(node.text) === "object") {
      if (mayChange(node)) constants.delete(node.text);
    }
    node.forEachChild(drop);
  };
  drop(script);
  return constants;
}

/** Whether more is done to an object, where it is named, than to read a field. */
function mayChange(object: typescript.Identifier): boolean {
  const { parent } = object;
  if (typescript.isShorthandPropertyAssignment(parent)) return true;
  if (typescript.isExportSpecifier(parent)) return true;
  if (!isUse(object)) return false;
  if (typescript.isVariableDeclaration(parent)) {
    return !typescript.isObjectBindingPattern(parent.name);
  }
  const isField = typescript.isPropertyAccessExpression(parent) ||
    typescript.isElementAccessExpression(parent) && parent.expression === object;
  if (!isField) return true;
  const { parent: around } = parent;
  return typescript.isPrefixUnaryExpression(around) ||
    typescript.isPostfixUnaryExpression(around) ||
    typescript.isDeleteExpression(around) ||
    typescript.isBinaryExpression(around) && around.left === parent &&
      around.operatorToken.kind >= typescript.SyntaxKind.FirstAssignment &&
      around.operatorToken.kind <= typescript.SyntaxKind.LastAssignment;
}

/** What an expression is, if that is a number, or an object of numbers. */
function valueOf(
  node: typescript.Node,
  constants: Constants,
): number | ReadonlyMap<string, number> | undefined {
  if (typescript.isNumericLiteral(node)) return Number(node.text);
  if (typescript.isPrefixUnaryExpression(node)) {
    const value = valueOf(node.operand, constants);
    const isMinus = node.operator === typescript.SyntaxKind.MinusToken;
    return isMinus && typeof value === "number" ? -value : undefined;
  }
  if (typescript.isIdentifier(node)) return constants.get(node.text);
  if (typescript.isPropertyAccessExpression(node)) {
    const object = valueOf(node.expression, constants);
    return typeof object === "object" ? object.get(node.name.text) : undefined;
  }
  if (!typescript.isObjectLiteralExpression(node)) return undefined;
  const object = new Map<string, number>();
  for (const property of node.properties) {
    const value = typescript.isPropertyAssignment(property) &&
      valueOf(property.initializer, constants);
    if (typeof value !== "number") return undefined;
    object.set(property.name!.getText(), value);
  }
  return object;
}

/** Whether what is named there is used, and neither declared nor exported. */
function isUse(node: typescript.Node): boolean {
  if (typescript.isNumericLiteral(node) || typescript.isPrefixUnaryExpression(node)) return false;
  const parent = node.parent as typescript.Node & {
    readonly name?: typescript.Node;
    readonly propertyName?: typescript.Node;
    readonly label?: typescript.Node;
  };
  if (typescript.isExportSpecifier(parent) || typescript.isImportSpecifier(parent)) return false;
  if (typescript.isShorthandPropertyAssignment(parent)) return false;
  return parent.name !== node && parent.propertyName !== node && parent.label !== node;
}

/** Whether the name of a node is that of a property. */
function isProperty(node: typescript.Node): boolean {
  return typescript.isPropertyAccessExpression(node) || typescript.isPropertyAssignment(node) ||
    typescript.isClassElement(node) || typescript.isShorthandPropertyAssignment(node);
}
