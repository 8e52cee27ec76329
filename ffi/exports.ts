// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** The public classes and functions, from where each is written. */

export { Callback } from "./call/callback.ts";
export { tailCall } from "./call/tail_call.ts";
export { NativeError } from "./context/exception.ts";
export { dlopen } from "./dlopen.ts";
export { functionAt } from "./function_at.ts";
export { Generator } from "./generator.ts";
export { FringeError } from "./library/fringe_error.ts";
export { PointerView } from "./pointer_view.ts";
export { OsStack } from "./stack/os_stack.ts";
export { OwnedStack } from "./stack/owned_stack.ts";
export { SliceStack } from "./stack/slice_stack.ts";
export { STACK_ALIGNMENT } from "./stack/stack.ts";
export { StackPool } from "./stack/stack_pool.ts";
export { pointerTo, struct, union } from "./struct.ts";
