// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors
// Made by `deno task build` from native/layout.zig: do not edit.
// deno-fmt-ignore-file

/** The layouts and the numbers that TypeScript shares with native code. */

/** The number of the interface between the library and TypeScript, which compares the two. */
export const ABI = 2;

/** What has become of a body, as its mailbox says. */
export const Status = {
  /** The body waits to be resumed. */
  suspended: 0,
  /** The body has returned. */
  returned: 1,
  /** The body was ended early: its frames have been unwound, their cleanups have run. */
  unwound: 2,
  /** The body was ended early and could not be unwound: its frames are simply forgotten. */
  abandoned: 3,
  /** An exception has left the body, and the mailbox's output is the address of its report. */
  throwing: 6,
  /** An exception has left the body. */
  thrown: 7,
  /** The body has used up its stack: its frames are forgotten, like those of an abandoned one. */
  overflowed: 8,
} as const;

/** Why a body that was ended early is `abandoned`: what keeps it from being unwound to its end. */
export const Abandonment = {
  /** The body has been unwound, or has returned. */
  none: 0,
  /** The function at the address has no unwind tables, so nobody knows who has called it. */
  no_tables: 1,
  /** The function at the address has cleanups, and too little of its stack is free below it. */
  no_room: 2,
  /** The function at the address has cleanups for an unwinder that its library keeps to itself. */
  foreign_unwinder: 3,
  /** The function at the address runs on a stack that C has made. */
  foreign_stack: 4,
  /** The body had suspended in a cleanup, which its end or an exception of its own ran. */
  suspended_in_cleanup: 5,
  /** The body was told to end, and suspended again, too often. */
  swallowed: 6,
  /** The process has no unwinder. */
  no_unwinder: 7,
} as const;

/** What a function of the C ABI says of that which it was asked for. */
export const Grant = {
  /** The function has done what it was asked to. */
  granted: 0,
  /** The operating system has no more memory, or no more mappings for this process. */
  out_of_memory: 4,
  /** The operating system refused for another reason. */
  refused: 5,
  /** The process has nearly as many mappings as it may have, and each guard page takes one. */
  too_many_mappings: 9,
} as const;

/** How many bytes a value takes in a mailbox, whatever its type. */
export const SLOT_SIZE = 8;

/** What `tail` is where a callback is answered with a struct in several registers. */
export const TAIL_ANSWER = 1;

/** How many arguments are in registers, and by which rules structs are. */
export const ARGUMENT_REGISTERS = {
  x86_64: { integers: 6, floats: 8, structs: "eightbytes" },
  aarch64: { integers: 8, floats: 8, structs: "aggregates" },
} as const;

/** Where the fields of a mailbox lie, in bytes. */
export const Mailbox = {
  /** What has become of the body: a number of `Status`. */
  status: 0,
  /** The number of the thunk that C has called last, if it is a call that runs. */
  callback: 4,
  /** What the body gets: the generator's input, or the result of the callback that waits. */
  input: 8,
  /** What the body gives: the generator's output, or the function's result. */
  output: 16,
  /** The function's result, if that is a floating-point one. */
  output_float: 24,
  /** The address of the function. */
  function: 32,
  /** The size of the function's result, if that is a floating-point one; else 0. */
  result_float: 40,
  /** The size of the callback's result, if that is a floating-point one; else 0. */
  callback_float: 44,
  /** How many words of the machine the function gets on its stack. */
  stack_count: 48,
  /** The address of the callback's arguments that are on the stack. */
  callback_stack: 56,
  /** The address of a function that C calls in place of returning from the callback; else 0. */
  tail: 64,
  /** What C has left in errno at its return, if it is wanted. */
  errno: 72,
  /** Whether errno is wanted: 1 or 0. Then C begins with an errno of 0. */
  wants_errno: 76,
  /** The function's integer arguments that are in registers. */
  integers: 80,
  /** The function's floating-point arguments that are in registers. */
  floats: 144,
  /** The callback's integer arguments that are in registers. */
  callback_integers: 208,
  /** The callback's floating-point arguments that are in registers. */
  callback_floats: 272,
  /** The second integer register of the function's result, which a struct may fill. */
  output_second: 336,
  /** The floating-point registers of the function's result behind the first one. */
  output_more_floats: 344,
  /** The integer registers of an answer that fills more than one, if `tail` says so. */
  answer_integers: 368,
  /** Its floating-point registers. */
  answer_floats: 384,
  /** Where the function puts a result that is in no register, if that is said in a register. */
  result_address: 416,
  /** Where C wants such a result of the callback. */
  callback_result_address: 424,
  /** The bits of the stack pointer that are 0 where the function's words begin, on x86_64. */
  stack_mask: 432,
  /** The words that the function gets on its stack; as many follow as there are. */
  stack: 440,
  /** The size of all of it. */
  size: 440,
} as const;

/** How many frames a report has room for; the innermost are kept. */
export const FRAMES_MAX = 64;

/** Where the fields of a report on an exception lie, in bytes. */
export const Report = {
  /** Who has thrown: 1 is C++, 2 is Rust, 0 is another language. */
  language: 0,
  /** The address of the type's name, a C string in `text`; 0 where the type is not known. */
  type: 8,
  /** The address of a copy of what the exception says; 0 where it does not say anything. */
  message: 16,
  /** How many bytes the exception says. */
  message_length: 24,
  /** How many frames there are. */
  count: 32,
  /** Where the frames go on, the innermost first: where it was thrown. */
  addresses: 40,
  /** The size of all of it. */
  size: 552,
} as const;

/** Where the fields of what an overflow leaves lie, in bytes from the lower end of the stack. */
export const Left = {
  /** How many frames there are. */
  count: 0,
  /** Where the frames went on, the innermost first. */
  addresses: 8,
  /** The size of all of it. */
  size: 520,
} as const;

/** Where the fields of a page of thunks lie, in bytes. */
export const ThunkBlock = {
  /** The address of the first thunk. */
  address: 0,
  /** The number of the first thunk; the second has the next number, and so on. */
  number: 8,
  /** How many bytes lie between the beginnings of two thunks. */
  stride: 16,
  /** How many thunks there are. */
  count: 24,
  /** The size of all of it. */
  size: 32,
} as const;

/** Where the parts of a thread lie that has been taken for a call. */
export const ThreadBlock = {
  /** The thread itself, as native code knows it. */
  thread: 0,
  /** The highest address that frames of C may have. */
  base: 8,
  /** The lowest byte of the thread's stack. */
  limit: 16,
  /** The end of the room for a mailbox, and for copies of strings and buffers. */
  room: 24,
  /** The size of all of it. */
  size: 32,
} as const;

/** Where the fields of what lies at an address lie, in bytes; 0 is what is not known. */
export const SymbolBlock = {
  /** The address of the function's name, a C string. */
  name: 0,
  /** The address of the function. */
  start: 8,
  /** The address of the module's file name, a C string. */
  module: 16,
  /** The address at which the module begins. */
  module_start: 24,
  /** The size of all of it. */
  size: 32,
} as const;

/** Where a body was suspended that had nothing to unwind, in bytes below its context. */
export const IdlePlace = {
  /** The address where the body goes on. */
  address: 0,
  /** How far below the context the stack pointer stood. */
  stack_pointer: 8,
  /** The same of the frame pointer. */
  frame_pointer: 16,
  /** The size of all of it. */
  size: 24,
} as const;

/** Where the fields lie of what is written down about stacks that have been mapped, in bytes. */
export const Bounds = {
  /** One past the highest byte. */
  base: 0,
  /** The lowest usable byte of the lowest stack. */
  limit: 8,
  /** The lowest byte of its guard, at which the mapping begins. */
  start: 16,
  /** How far apart the stacks are. */
  stride: 24,
  /** The size of all of it. */
  size: 32,
} as const;

/** Both ends of a stack are multiples of this, in bytes. */
export const STACK_ALIGNMENT = 16;

/** The smallest stack that anything can be done on, in bytes. */
export const STACK_SIZE_MIN = 512;

/** The size of an OsStack where none is asked for, in bytes. */
export const STACK_SIZE_DEFAULT = 1048576;

/** How much room there is beside the stack of a thread that runs a call, in bytes. */
export const THREAD_ROOM = 65536;

/** How many bytes of its stack must be free below a frame with cleanups when it is unwound. */
export const HEADROOM_MIN = 8192;

/** What lies at the lower end of a stack without a guard: no body writes it by chance. */
export const CANARY = "fringe's canary!";
