// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * The memory that TypeScript and a native body share. TypeScript owns it (an `ArrayBuffer`, which
 * V8 never moves), native code keeps its address. A slot of it is eight bytes, little-endian,
 * whatever its type. `native/layout.zig` owns the layout.
 */

export { FLOATS_MAX, INTEGERS_MAX, Mailbox, SLOT_SIZE } from "../layout.ts";
