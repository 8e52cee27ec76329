// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * The memory that TypeScript and a native body share. TypeScript owns it (an `ArrayBuffer`, which
 * V8 never moves), native code keeps its address. `native/mailbox.zig` owns the layout; a test
 * compares.
 */

/** Where each field lies, in bytes. A slot is eight bytes, little-endian, whatever its type. */
export const Mailbox = {
  status: 0,
  input: 8,
  output: 16,
  function: 24,
  arguments: 32,
  callback_arguments: 80,
  size: 128,
} as const;

/** How many arguments a call takes at most, and how many a callback has at most. */
export const ARGUMENTS_MAX = 6;

/** The size of a slot, in bytes. */
export const SLOT_SIZE = 8;
