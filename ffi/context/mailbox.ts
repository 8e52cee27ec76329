// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * The memory that TypeScript and a native body share. TypeScript owns it (an `ArrayBuffer`, which
 * V8 never moves), native code keeps its address. `native/context/mailbox.zig` owns the layout; a test
 * compares.
 */

/**
 * Where each field lies, in bytes. A slot is eight bytes, little-endian, whatever its type. The
 * words that a function gets on its stack lie from `stack` on, as many as there are.
 */
export const Mailbox = {
  status: 0,
  input: 8,
  output: 16,
  output_float: 24,
  function: 32,
  stack_count: 48,
  callback_stack: 56,
  integers: 64,
  floats: 112,
  callback_integers: 176,
  callback_floats: 224,
  stack: 288,
  size: 288,
} as const;

/** How many arguments go in registers, of each class (System V psABI for AMD64, section 3.2.3). */
export const INTEGERS_MAX = 6;
export const FLOATS_MAX = 8;

/** The size of a slot, in bytes. */
export const SLOT_SIZE = 8;
