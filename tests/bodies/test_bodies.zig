// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Bodies in Zig for the tests in TypeScript. The table in test_bodies.c has the signatures.

const fringe = @import("fringe");
const Yielder = fringe.Yielder;

/// A panic ends the process without a word: what it would say takes 180 KB of a library.
pub const panic = @import("std").debug.no_panic;

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

const Callback = fn (i32) callconv(.c) i32;
/// In test_bodies.c: calls it, and has a cleanup.
extern fn cleans_around(callback: *const Callback, argument: i32) i32;

var inner_stack: [64 * 1024]u8 align(16) = undefined;
var inner_callback: *const Callback = undefined;

fn innerBody(yielder: *Yielder(i32, i32), first: i32) void {
    _ = yielder.@"suspend"(cleans_around(inner_callback, first)) catch {};
}

fn runsGenerator(argument: i32) callconv(.c) i32 {
    const stack = fringe.SliceStack.init(&inner_stack) catch return -1;
    var generator: fringe.Generator(i32, i32) = .initUnguarded(stack.stack(), innerBody);
    defer _ = generator.cancel();
    return generator.@"resume"(argument) orelse -1;
}

export fn calls_in_zig_generator(callback: *const Callback) i32 {
    inner_callback = callback;
    return cleans_around(&runsGenerator, 1);
}
