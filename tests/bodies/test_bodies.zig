// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Bodies in Zig for the tests in TypeScript. The table in test_bodies.c has the signatures.

const Yielder = @import("fringe").Yielder;

export fn zig_echo(yielder: *Yielder(i32, i32), first: i32) void {
    var input = first;
    while (true) input = yielder.@"suspend"(input) catch return;
}

var defers: i32 = 0;

export fn zig_defer_count() i32 {
    return defers;
}

export fn zig_defers(yielder: *Yielder(void, i32)) void {
    defer defers += 1;
    var i: i32 = 1;
    while (true) : (i += 1) yielder.@"suspend"(i) catch return;
}
