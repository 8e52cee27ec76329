// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Suspend native code like a JavaScript generator.
 *
 * A native function runs on a stack of its own, from any depth of which it suspends; a C API with
 * callbacks suspends in each of them, so that the handler may `await`, may `yield`, may stop it
 * half-way.
 *
 * @example
 * ```ts
 * import { dlopen } from "fringe";
 *
 * using libc = dlopen("libc.so.6", {
 *   scandir: {
 *     parameters: [
 *       "cstring",
 *       "buffer",
 *       { callback: { parameters: ["pointer"], result: "i32", stop: 0 } },
 *       "pointer",
 *     ],
 *     result: "i32",
 *   },
 * });
 * let entries = 0;
 * for (const call of libc.symbols.scandir.calls("/", new BigUint64Array(1), null)) {
 *   entries++;
 *   call.reply(0); // leave it out of the list, which stays null: nothing is to be freed
 * }
 * console.log(entries > 0); // true
 * ```
 *
 * @module
 */

export type { VariadicArguments } from "./ffi/call/arguments.ts";
export type { CallbackOptions } from "./ffi/call/callback.ts";
export type {
  AsyncArguments,
  AsyncCall,
  AsyncOptions,
  CallbackCall,
  CallbackOf,
  HandlerYield,
  PulledArguments,
  PulledCall,
  ResultOf,
  ScriptArguments,
  SuspendableFunction,
  SyncArguments,
} from "./ffi/call/argument_types.ts";
export type {
  AnswerAtOnce,
  AsyncHandler,
  BodyDefinition,
  CallbackDefinition,
  CallbackHandler,
  FunctionDefinition,
  HandlerParameters,
  Literal,
  LiteralDefinition,
  LiteralDefinitions,
  ParameterDefinition,
  ScriptHandler,
  SymbolDefinitions,
  SyncHandler,
  VariableDefinition,
} from "./ffi/call/definition.ts";
export type { TailCall } from "./ffi/call/tail_call.ts";
export type { NativeFrame } from "./ffi/context/backtrace.ts";
export type { NativeBody } from "./ffi/context/body.ts";
export type { NativeLibrary } from "./ffi/dlopen.ts";
export type { ScriptBody, State } from "./ffi/generator.ts";
export type { AllocatedView } from "./ffi/pointer_view.ts";
export type { ScriptGenerator } from "./ffi/script_generator.ts";
export type { OsStackOptions } from "./ffi/stack/os_stack.ts";
export type { GuardedStack, Stack } from "./ffi/stack/stack.ts";
export type { StackPoolOptions } from "./ffi/stack/stack_pool.ts";
export type {
  ElementDefinition,
  FieldDefinition,
  Layout,
  LayoutArray,
  LayoutFields,
  LayoutObject,
  LayoutOptions,
  LayoutValues,
  LayoutView,
  PointerField,
} from "./ffi/struct.ts";
export type { LayoutMemory } from "./ffi/struct_view.ts";
export type { NativeFunction, NonblockingFunction, SymbolOf } from "./ffi/types.ts";
export type { TextEncoding } from "./ffi/value/text_encoding.ts";
export type {
  FilledArray,
  FromNative,
  FunctionPointer,
  LayoutType,
  MadeBy,
  maker,
  ScalarType,
  StructDefinition,
  SymbolPointer,
  ToNative,
  TypeDefinition,
  ValueType,
} from "./ffi/value/type.ts";
export type { Yielder } from "./ffi/yielder.ts";

// One file in place of fifty modules: to load those would take Deno longer than to run them. In the
// checkout, deno.json maps the file to the sources that it is made from.
// @ts-types="./ffi/exports.ts"
export {
  Callback,
  dlopen,
  FringeError,
  functionAt,
  Generator,
  NativeError,
  OsStack,
  OwnedStack,
  pointerTo,
  PointerView,
  SliceStack,
  STACK_ALIGNMENT,
  StackPool,
  struct,
  tailCall,
  union,
} from "./ffi/fringe.js";
