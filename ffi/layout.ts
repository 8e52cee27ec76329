// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors
// Made by `deno task build` from native/layout.zig: do not edit.
// deno-fmt-ignore-file

export const Status = { suspended: 0, returned: 1, unwound: 2, abandoned: 3, throwing: 6, thrown: 7, overflowed: 8 } as const;
export const Grant = { granted: 0, out_of_memory: 4, refused: 5 } as const;
export const Mailbox = { status: 0, callback: 4, input: 8, output: 16, output_float: 24, function: 32, stack_count: 48, callback_stack: 56, integers: 64, floats: 112, callback_integers: 176, callback_floats: 224, stack: 288, size: 288 } as const;
export const Report = { language: 0, type: 8, message: 16, message_length: 24, count: 32, addresses: 40, size: 552 } as const;
export const Left = { count: 0, addresses: 8 } as const;
export const ThunkBlock = { address: 0, number: 8, stride: 16, count: 24, size: 32 } as const;
export const SymbolBlock = { name: 0, start: 8, module: 16, module_start: 24, size: 32 } as const;
export const SLOT_SIZE = 8;
export const INTEGERS_MAX = 6;
export const FLOATS_MAX = 8;
export const FRAMES_MAX = 64;
export const STACK_ALIGNMENT = 16;
export const STACK_SIZE_MIN = 512;
export const STACK_SIZE_DEFAULT = 1048576;
export const HEADROOM_MIN = 8192;
export const CANARY = "fringe's canary!";
