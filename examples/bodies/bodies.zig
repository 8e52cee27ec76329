// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! The two bodies of add_one.c in Zig. A generator that is ended early gives them error.Canceled.

const Yielder = @import("fringe").Yielder;

/// `{ input: "void", output: "i32" }`: gives 1, 2, 3, and returns.
export fn zig_count(yielder: *Yielder(void, i32)) void {
    for (1..4) |i| yielder.@"suspend"(@intCast(i)) catch return;
}

/// `{ input: "i32", output: "i32" }`: gives each input plus one, until the input is 0.
export fn zig_add_one(yielder: *Yielder(i32, i32), first: i32) void {
    var input = first;
    while (input != 0) input = yielder.@"suspend"(input + 1) catch return;
}
