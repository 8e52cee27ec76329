// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * What fringe's own native library exports and TypeScript calls, in five tables: Deno takes a
 * fifth of a millisecond to open a function, and a program that makes its first stack needs few of
 * them.
 *
 * One C function may have several names here, each with other types: where V8 passes some types
 * faster (`resumeI32`, `resumeU32`), or where an address is to be a pointer, a bigint or a buffer
 * (`pointerTo`, `addressOfBuffer`).
 */

/** What an `OsStack` needs, and a generator whose body is TypeScript. */
export const STACK_SYMBOLS = {
  // The number of this interface. A library from before there were such numbers has none.
  abi: { name: "fringe_abi", type: "u32", optional: true },
  mapStack: {
    name: "fringe_os_stack_map",
    parameters: ["usize", /* size */ "bool", /* recover */ "buffer" /* bounds */],
    result: "i32",
  },
  unmapStack: {
    name: "fringe_os_stack_unmap",
    parameters: ["usize", /* base */ "usize" /* start of its guard */],
    result: "i32",
  },
  // Only a library that is built for Valgrind has these two: Valgrind has to be told that memory of
  // V8's is a stack.
  registerStack: {
    name: "fringe_valgrind_register",
    parameters: ["usize", /* base */ "usize" /* limit */],
    result: "void",
    optional: true,
  },
  deregisterStack: {
    name: "fringe_valgrind_deregister",
    parameters: ["usize", /* base */ "usize" /* limit */],
    result: "void",
    optional: true,
  },
  // How deep V8's stack is: the address of a frame on it, in units of 16 bytes.
  depth: { name: "fringe_depth", parameters: [], result: "u32" },
} as const satisfies Deno.ForeignLibraryInterface;

/** What a `StackPool` needs besides. */
export const POOL_SYMBOLS = {
  mapSlab: {
    name: "fringe_slab_map",
    parameters: [
      "usize",
      /* size */ "u32",
      /* count */ "bool",
      /* recover */ "buffer", /* bounds */
    ],
    result: "i32",
  },
  discardStacks: {
    name: "fringe_slab_discard",
    parameters: [
      "usize", // limit of the lowest stack
      "usize", // stride
      "buffer", // numbers of stacks
      "u32", // from this one
      "u32", // to before this one
    ],
    result: "void",
  },
} as const satisfies Deno.ForeignLibraryInterface;

/** What runs native code, and looks into its memory. */
export const SYMBOLS = {
  installOverflow: { name: "fringe_overflow_install", parameters: [], result: "void" },
  callBody: { name: "fringe_call_body", type: "pointer" },
  init: {
    name: "fringe_init_caught",
    parameters: [
      "usize", // base
      "pointer", // body
      "usize", // mailbox
      "pointer", // __cxa_get_globals of the body's C++ runtime
      "usize", // limit
    ],
    result: "pointer",
  },
  // Says whether another thread may run on a stack, by an address there.
  lendStack: {
    name: "fringe_stack_lend",
    parameters: ["usize", /* address */ "bool" /* whether it may */],
    result: "void",
  },
  // One function, under the types that V8 passes fastest.
  resumeI32: {
    name: "fringe_resume",
    parameters: ["pointer", /* context */ "i32" /* word */],
    result: "i32",
  },
  resumeU32: {
    name: "fringe_resume",
    parameters: ["pointer", /* context */ "u32" /* word */],
    result: "u32",
  },
  resumeToPointer: {
    name: "fringe_resume_to_pointer",
    parameters: ["pointer", /* context */ "i32" /* word */],
    result: "pointer",
  },
  // The same for a body that takes a pointer, too.
  resumePointer: {
    name: "fringe_resume_pointer",
    parameters: ["pointer", /* context */ "pointer" /* input */],
    result: "pointer",
  },
  passPointer: {
    name: "fringe_pass_pointer",
    parameters: ["pointer", /* context */ "pointer" /* input */],
    result: "void",
  },
  call: {
    name: "fringe_call",
    parameters: [
      "pointer", // context
      "pointer", // __cxa_get_globals of the function's C++ runtime
    ],
    result: "i32",
  },
  resumeCall: {
    name: "fringe_resume_call",
    parameters: ["pointer", /* context */ "i32" /* word, which a thunk ignores */],
    result: "i32",
  },
  // The same on a thread of Deno's blocking pool.
  resumeElsewhere: {
    name: "fringe_resume_call",
    parameters: ["pointer", /* context */ "i32" /* word, which a thunk ignores */],
    result: "i32",
    nonblocking: true,
  },
  fill: {
    name: "fringe_fill",
    parameters: [
      "pointer", // context
      "buffer", // into
      "u32", // count of elements
      "u32", // size of an element
      "bool", // whether outputs are words
    ],
    result: "u32",
  },
  end: {
    name: "fringe_end",
    parameters: [
      "pointer", // context
      "usize", // limit
      "buffer", // where the body was idle, or null
    ],
    result: "i32",
  },
  watchBegin: {
    name: "fringe_watch_begin",
    parameters: ["usize", /* where the callback's arguments are */ "usize" /* function */],
    result: "bool",
  },
  watchStep: { name: "fringe_watch_step", parameters: [], result: "void" },
  watchEnd: { name: "fringe_watch_end", parameters: [], result: "void" },
  backtrace: {
    name: "fringe_backtrace",
    parameters: ["pointer", /* context */ "buffer", /* addresses */ "u32" /* count */],
    result: "u32",
  },
  symbol: {
    name: "fringe_symbol",
    parameters: ["usize", /* address */ "buffer" /* into */],
    result: "void",
  },
  exceptionState: {
    name: "fringe_exception_state",
    parameters: ["pointer" /* address */],
    result: "pointer",
  },
  pin: { name: "fringe_pin", parameters: ["pointer" /* address */], result: "void" },
  mapThunks: { name: "fringe_thunk_map", parameters: ["buffer" /* block */], result: "i32" },
  // One function, which returns its argument: its types turn pointers and buffers into addresses.
  addressOfPointer: { name: "fringe_identity", parameters: ["pointer"], result: "usize" },
  addressOfBuffer: { name: "fringe_identity", parameters: ["buffer"], result: "usize" },
  pointerTo: { name: "fringe_identity", parameters: ["usize"], result: "pointer" },
  // One function again: memory of C's is given by its address, memory of JavaScript's as a buffer.
  copyOut: {
    name: "fringe_copy",
    parameters: ["usize", /* destination */ "buffer", /* source */ "usize" /* length */],
    result: "void",
  },
  copyIn: {
    name: "fringe_copy",
    parameters: ["buffer", /* destination */ "usize", /* source */ "usize" /* length */],
    result: "void",
  },
  load8: {
    name: "fringe_load_8",
    parameters: ["pointer", /* base */ "i32" /* offset */],
    result: "u8",
  },
  load16: {
    name: "fringe_load_16",
    parameters: ["pointer", /* base */ "i32" /* offset */],
    result: "u16",
  },
  loadI32: {
    name: "fringe_load_32",
    parameters: ["pointer", /* base */ "i32" /* offset */],
    result: "i32",
  },
  loadU32: {
    name: "fringe_load_32",
    parameters: ["pointer", /* base */ "i32" /* offset */],
    result: "u32",
  },
  loadI64: {
    name: "fringe_load_64",
    parameters: ["pointer", /* base */ "i32" /* offset */],
    result: "i64",
  },
  loadU64: {
    name: "fringe_load_64",
    parameters: ["pointer", /* base */ "i32" /* offset */],
    result: "u64",
  },
  loadPointer: {
    name: "fringe_load_64",
    parameters: ["pointer", /* base */ "i32" /* offset */],
    result: "pointer",
  },
  loadF32: {
    name: "fringe_load_f32",
    parameters: ["pointer", /* base */ "i32" /* offset */],
    result: "f32",
  },
  loadF64: {
    name: "fringe_load_f64",
    parameters: ["pointer", /* base */ "i32" /* offset */],
    result: "f64",
  },
  store: {
    name: "fringe_store",
    parameters: ["pointer", /* base */ "i32", /* offset */ "buffer", /* source */ "u32" /* size */],
    result: "void",
  },
  copyString: {
    name: "fringe_copy_string",
    parameters: ["buffer", /* destination */ "usize", /* string */ "u32" /* capacity */],
    result: "u32",
  },
} as const satisfies Deno.ForeignLibraryInterface;

/** What calls need besides that have a thread of their own. */
export const THREAD_SYMBOLS = {
  takeThread: {
    name: "fringe_thread_take",
    parameters: ["usize", /* size of the stack */ "bool", /* recover */ "buffer" /* block */],
    result: "i32",
  },
  layThread: {
    name: "fringe_thread_lay",
    parameters: [
      "pointer", // thread
      "usize", // mailbox
      "pointer", // __cxa_get_globals of the function's C++ runtime
    ],
    result: "void",
  },
  goThread: { name: "fringe_thread_go", parameters: ["pointer" /* thread */], result: "void" },
  waitThread: { name: "fringe_thread_wait", parameters: ["pointer" /* thread */], result: "void" },
  // The same on a thread of Deno's blocking pool.
  waitThreadElsewhere: {
    name: "fringe_thread_wait",
    parameters: ["pointer" /* thread */],
    result: "void",
    nonblocking: true,
  },
  endThread: { name: "fringe_thread_end", parameters: ["pointer" /* thread */], result: "void" },
  traceThread: {
    name: "fringe_thread_trace",
    parameters: ["pointer", /* thread */ "buffer", /* addresses */ "u32" /* count */],
    result: "u32",
  },
  putThread: { name: "fringe_thread_put", parameters: ["buffer" /* block */], result: "void" },
} as const satisfies Deno.ForeignLibraryInterface;

/** What callbacks need besides that threads of C's call. */
export const FOREIGN_SYMBOLS = {
  openForeign: {
    name: "fringe_foreign_open",
    parameters: ["u32", /* number */ "buffer" /* stop, or null */],
    result: "i32",
  },
  closeForeign: {
    name: "fringe_foreign_close",
    parameters: ["u32" /* number */],
    result: "void",
  },
  listenForeign: { name: "fringe_foreign_listen", parameters: [], result: "pointer" },
  // On a thread of Deno's blocking pool.
  waitForeign: {
    name: "fringe_foreign_wait",
    parameters: ["pointer" /* what listening has given */],
    result: "void",
    nonblocking: true,
  },
  callOffForeign: { name: "fringe_foreign_call_off", parameters: [], result: "void" },
  takeForeign: { name: "fringe_foreign_take", parameters: [], result: "pointer" },
  answerForeign: {
    name: "fringe_foreign_answer",
    parameters: ["pointer" /* mailbox */],
    result: "void",
  },
  refuseForeign: { name: "fringe_foreign_refuse", parameters: [], result: "void" },
} as const satisfies Deno.ForeignLibraryInterface;

/** The functions of the native library that a stack needs. */
export type NativeStacks = Deno.DynamicLibrary<typeof STACK_SYMBOLS>["symbols"];

/** The functions of the native library that a pool of stacks needs besides. */
export type NativePools = Deno.DynamicLibrary<typeof POOL_SYMBOLS>["symbols"];

/** The functions of the native library that threads of calls need. */
export type NativeThreads = Deno.DynamicLibrary<typeof THREAD_SYMBOLS>["symbols"];

/** The functions of the native library that callbacks of threads need. */
export type NativeForeign = Deno.DynamicLibrary<typeof FOREIGN_SYMBOLS>["symbols"];

/** The functions of the native library that native code needs. */
export type Native = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];
